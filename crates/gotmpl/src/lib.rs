//! The part of Go's text/template that annotations use.
