//! The worked programs; each is an example target.
