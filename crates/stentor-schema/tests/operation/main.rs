//! From a client's document to the bytes of its results, as tables.

mod arguments;
mod audiences;
mod forward;
mod guards;
mod limits;
mod loaded;
mod nulls;
mod random;
mod refusals;
mod results;
mod roots;
mod scalars;
mod support;
