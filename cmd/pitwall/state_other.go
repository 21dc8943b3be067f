//go:build !linux

package main

// networkFilesystem cannot tell file systems apart here and names none.
func networkFilesystem(string) string { return "" }
