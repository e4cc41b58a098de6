//! Tests of the program and its figures as a whole: parity with public tools, the command line, data from elsewhere.

mod experiment;
mod line;
mod parity;
mod shared;
