//! Reading what is to be judged: tables (Parquet or delimited text), ranked lists, truth, catalogues, scored rows. Errors
//! name file, row and column.

pub mod catalogue;
pub mod lists;
pub mod names;
pub mod scored;
pub mod table;

pub use catalogue::Catalogue;
pub use lists::{Lists, Truth};
pub use names::Names;
pub use table::Table;
