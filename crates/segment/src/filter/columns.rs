//! Where a filter finds its columns.

use std::borrow::Cow;

use cinclus_types::{Column, FieldId, Rows};

/// Gives the columns of a block of rows. A field whose rows all lack a value may have none; defaults are
/// filled in by whoever implements this.
pub trait ColumnSource {
    /// The column of a field.
    fn column(&self, field: FieldId) -> Option<&Column>;
}

impl ColumnSource for Rows {
    fn column(&self, field: FieldId) -> Option<&Column> {
        Rows::column(self, field)
    }
}

impl ColumnSource for Vec<Column> {
    fn column(&self, field: FieldId) -> Option<&Column> {
        self.iter().find(|column| column.field == field)
    }
}

impl ColumnSource for Vec<Cow<'_, Column>> {
    fn column(&self, field: FieldId) -> Option<&Column> {
        self.iter().map(Cow::as_ref).find(|column| column.field == field)
    }
}
