//! Primary key, partition key, clustering key, vectors: what each schema must and may have. Judged before the
//! fields by themselves, as Milvus does: whoever gave no key hears of that first.

use cinclus_types::proto::schema::{DataType, FieldSchema};

use crate::validate::SchemaError;
use crate::validate::schema::plain;

/// Vector fields of a collection, at most.
const VECTOR_FIELDS_MAX: usize = 4;

/// Checks the roles that fields have.
///
/// # Errors
/// The first fault that is found, in Milvus' words.
pub fn check(fields: &[FieldSchema]) -> Result<(), SchemaError> {
    match of(fields, |field| is_vector(field.data_type())).len() {
        0 => return Err(SchemaError::Invalid("schema does not contain vector field".to_owned())),
        n if n > VECTOR_FIELDS_MAX => {
            return plain(format!("maximum vector field's number should be limited to {VECTOR_FIELDS_MAX}"));
        }
        _ => {}
    }
    match of(fields, |field| field.is_primary_key).as_slice() {
        [] => return plain("primary key is not specified"),
        [key] if !can_be_key(key) => return plain("the data type of primary key should be Int64 or VarChar"),
        [_] => {}
        [first, second, ..] => return several("primary", first, second),
    }
    match of(fields, |field| field.auto_id).as_slice() {
        [first, second, ..] => {
            return plain(format!(
                "only one field can speficy AutoID with true, field name = {}, {}",
                first.name, second.name
            ));
        }
        [field] if !field.is_primary_key => {
            return plain(format!(
                "only primary field can speficy AutoID with true, field name = {}",
                field.name
            ));
        }
        _ => {}
    }
    match of(fields, |field| field.is_partition_key).as_slice() {
        [] => {}
        [field] if field.is_primary_key => return plain("the partition key field must not be primary field"),
        [field] if !can_be_key(field) => {
            return plain("the data type of partition key should be Int64 or VarChar");
        }
        [_] => {}
        [first, second, ..] => return several("partition", first, second),
    }
    match of(fields, |field| field.is_clustering_key).as_slice() {
        [first, second, ..] => several("clustering", first, second),
        _ => Ok(()),
    }
}

fn of(fields: &[FieldSchema], has: impl Fn(&FieldSchema) -> bool) -> Vec<&FieldSchema> {
    fields.iter().filter(|field| has(field)).collect()
}

fn several(role: &str, first: &FieldSchema, second: &FieldSchema) -> Result<(), SchemaError> {
    plain(format!("there are more than one {role} key, field name = {}, {}", first.name, second.name))
}

fn can_be_key(field: &FieldSchema) -> bool {
    matches!(field.data_type(), DataType::Int64 | DataType::VarChar)
}

/// Whether a type is one of Milvus' vectors, served or not.
fn is_vector(data_type: DataType) -> bool {
    matches!(
        data_type,
        DataType::BinaryVector
            | DataType::FloatVector
            | DataType::Float16Vector
            | DataType::BFloat16Vector
            | DataType::SparseFloatVector
            | DataType::Int8Vector
    )
}
