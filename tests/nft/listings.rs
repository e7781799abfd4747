//! Rules, sets and errors one by one.
