//! JSON text in and out of tapes.
