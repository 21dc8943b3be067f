// Package backendtest is the contract of [backend.Backend] as tests, see
// [Run], and a small Backend in memory for the tests of views and doors, see
// [Fake].
package backendtest
