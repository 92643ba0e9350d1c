//! Conformance of the engines: one suite for every store, one for every broker.

mod broker;
