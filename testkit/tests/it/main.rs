//! The private engines really start, survive kills with their data, and go when told.

mod postgres;
mod rabbitmq;
