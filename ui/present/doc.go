// Package present says in words, glyphs and actions what the nouns of the
// backend are, for every view alike: the word and the mark of a state, the
// last words of an app, the verbs that an app, an instance, a job, a run or an
// operation has, and the places that lead on from each. A verb is written here
// once, so that it asks the same question and refuses with the same sentence
// wherever it is offered.
//
// It also holds [Listing], the table that a [ui.Sync] keeps true, which most
// views are made of.
//
// Everything that comes from the backend is cleaned on its way through; see
// [Text].
package present
