//! Primary keys from and to the wire.

use cinclus_types::proto::schema::{FieldData, IDs, LongArray, StringArray, field_data, i_ds, scalar_field};
use cinclus_types::{DataType, Key, Keys};

/// The values of a column as keys, if they can be such.
#[must_use]
pub fn of_column(column: &FieldData) -> Option<Keys> {
    let Some(field_data::Field::Scalars(scalars)) = &column.field else { return None };
    match &scalars.data {
        Some(scalar_field::Data::LongData(v)) => Some(Keys::Int64(v.data.clone())),
        Some(scalar_field::Data::StringData(v)) => Some(Keys::VarChar(v.data.iter().collect())),
        Some(_) | None => None,
    }
}

/// A list of keys as one column.
#[must_use]
pub fn column_of(keys: impl IntoIterator<Item = Key>, data_type: DataType) -> Keys {
    if data_type == DataType::VarChar {
        Keys::VarChar(keys.into_iter().map(|key| key.to_string()).collect())
    } else {
        let number = |key| match key {
            Key::Int64(key) => key,
            Key::VarChar(_) => 0,
        };
        Keys::Int64(keys.into_iter().map(number).collect())
    }
}

/// Keys of an answer.
#[must_use]
pub fn to_wire(keys: &[Key], data_type: DataType) -> IDs {
    let field = match column_of(keys.iter().cloned(), data_type) {
        Keys::Int64(data) => i_ds::IdField::IntId(LongArray { data }),
        Keys::VarChar(_) => {
            i_ds::IdField::StrId(StringArray { data: keys.iter().map(ToString::to_string).collect() })
        }
    };
    IDs { id_field: Some(field) }
}
