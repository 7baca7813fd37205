//! PromQL: parse, plan and evaluate over a columnar source.
