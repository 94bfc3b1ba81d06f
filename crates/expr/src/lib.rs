//! The filter language of Milvus: text to a tree that was checked against a schema. Pure.

pub mod ast;
pub mod check;
pub mod error;
pub mod parser;

pub use ast::Expr;
pub use error::ExprError;
