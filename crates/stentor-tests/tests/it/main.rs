//! One server, whole, as its clients and publishers see it.

mod audiences;
