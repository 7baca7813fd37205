//! One outage as a pure function: (state, input, now) to events.
