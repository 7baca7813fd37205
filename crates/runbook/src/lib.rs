//! Markdown pages as programs: sections, steps, bindings, causes.
