//! The private engines start, die and come back; and the house rules that a compiler does not check.

mod engines;
mod tidy;
