//! Rule files, groups, and the life of an alert.
