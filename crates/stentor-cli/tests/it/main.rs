//! The program as whoever types its commands sees it.

mod completions;
mod help;
mod init;
mod program;
mod publish;
mod subscribe;
mod token;
