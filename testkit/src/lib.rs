//! Private RabbitMQ and PostgreSQL instances for tests and benchmarks.
