//! The body of an insert: columns of rows.

use bytes::Bytes;
use prost::Message as _;

use super::error::BodyError;
use super::meta::{ALL_PARTITIONS, BodyMeta, base};
use crate::convert::{column_from_wire, column_to_wire, missing_column};
use crate::proto::common::MsgType;
use crate::proto::msg::{InsertDataVersion, InsertRequest};
use crate::proto::schema::FieldData;
use crate::{CollectionSchema, FieldSchema, Rows};

const NAME: &str = "InsertRequest";

/// The body of an insert, `msg.InsertRequest` in columns.
///
/// Its timestamps are zeros: a row's tick is its message's, and readers, Milvus' too, take it from
/// there. Its row ids are the caller's, or zeros.
#[derive(Clone, Copy, Debug)]
pub struct InsertBody;

impl InsertBody {
    /// The payload of columns that are already in wire form and were checked: the proxy's path.
    ///
    /// Each column names its field by id, and has `rows` values.
    #[must_use]
    pub fn encode_fields(meta: &BodyMeta, rows: usize, fields: Vec<FieldData>) -> Bytes {
        InsertBody::encode_with_row_ids(meta, vec![0; rows], fields)
    }

    /// The same, with an id for each row, for foreign readers that want one.
    #[must_use]
    pub fn encode_with_row_ids(meta: &BodyMeta, row_ids: Vec<i64>, fields: Vec<FieldData>) -> Bytes {
        let request = InsertRequest {
            base: base(MsgType::Insert),
            shard_name: meta.vchannel.name().to_owned(),
            db_name: meta.database_name.clone(),
            collection_name: meta.collection_name.clone(),
            partition_name: meta.partition_name.clone(),
            db_id: meta.database.0,
            collection_id: meta.collection.0,
            partition_id: meta.partition.map_or(ALL_PARTITIONS, |partition| partition.0),
            timestamps: vec![0; row_ids.len()],
            num_rows: row_ids.len() as u64,
            row_i_ds: row_ids,
            fields_data: fields,
            version: InsertDataVersion::ColumnBased.into(),
            ..Default::default()
        };
        request.encode_to_vec().into()
    }

    /// The payload of rows. Columns that the schema does not have are left out.
    #[must_use]
    pub fn encode_rows(meta: &BodyMeta, schema: &CollectionSchema, rows: Rows) -> Bytes {
        let count = rows.count;
        let fields = rows.columns.into_iter().filter_map(|column| {
            let field = schema.field_by_id(column.field)?;
            Some(column_to_wire(field, column))
        });
        InsertBody::encode_fields(meta, count, fields.collect())
    }

    /// The rows of a payload, as a schema wants them: one column for each of its fields, by id.
    ///
    /// Fields that the rows do not have, because they were written under an older schema, get their
    /// default or null; columns that the schema no longer has are dropped. Numbers and floats are moved
    /// out of the protobuf message, not copied again.
    ///
    /// # Errors
    /// The payload is no insert, or does not fit the schema.
    pub fn decode(payload: &Bytes, schema: &CollectionSchema) -> Result<Rows, BodyError> {
        let request = InsertRequest::decode(payload.clone()).map_err(BodyError::wire(NAME))?;
        if request.version != i32::from(InsertDataVersion::ColumnBased) {
            return Err(BodyError::RowBased);
        }
        // Each row has at least a byte among the timestamps: a wild number must not allocate.
        let count = usize::try_from(request.num_rows).ok().filter(|&count| count <= payload.len());
        let count = count.ok_or(BodyError::RowCount { rows: request.num_rows, bytes: payload.len() })?;
        let mut given = request.fields_data;
        let mut columns = Vec::with_capacity(schema.fields.len());
        for field in &schema.fields {
            columns.push(match given.iter().position(|data| names(data, field)) {
                Some(at) => column_from_wire(field, given.swap_remove(at), count)?,
                None => missing_column(field, count)?,
            });
        }
        columns.sort_unstable_by_key(|column| column.field);
        Ok(Rows { count, columns })
    }
}

/// Whether a column is a field's: by id, or by name where a column has no id.
fn names(data: &FieldData, field: &FieldSchema) -> bool {
    data.field_id == field.id.0 || (data.field_id == 0 && data.field_name == field.name)
}
