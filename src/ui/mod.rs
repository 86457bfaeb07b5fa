//! What people see besides the bytes they asked for: errors with hints, the picker, tables.
