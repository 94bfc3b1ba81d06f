//! Upserts that name some fields only: the other fields keep the values that the rows have.

use std::sync::Arc;

use cinclus_catalog::PartitionEntry;
use cinclus_expr::{Expr, FieldPath};
use cinclus_rpc::{QueryAnswer, QueryPlan, merge_answers};
use cinclus_types::convert::{column_from_wire, column_to_wire};
use cinclus_types::proto::schema::{FieldData, field_data, scalar_field};
use cinclus_types::{Column, ColumnData, FieldSchema, Key, Keys, Rows, Tick};
use rustc_hash::FxHashMap;

use crate::convert::{members, output};
use crate::proxy::{Call, Proxy, Target};
use crate::read::Reader;
use crate::status::ProxyError;
use crate::validate::values::JSON_BYTES_MAX;
use crate::validate::{Checked, RowError, fill};

/// What rows had before: of each key at most one row, the newest.
#[derive(Debug, Default)]
pub(crate) struct Known {
    rows: Rows,
    places: FxHashMap<Key, usize>,
}

impl Known {
    /// Reads the rows of these keys: now, or as they were at `snapshot`; in one partition, or in all.
    ///
    /// Between this and the write another write may change the same rows; the later of both then stands
    /// as a whole, as in Milvus.
    ///
    /// # Errors
    /// The collection is not loaded, or a shard did not answer.
    pub(crate) async fn read(
        proxy: &Proxy,
        call: &Call,
        target: &Target,
        (keys, fields): (&Keys, &[FieldSchema]),
        (within, snapshot): (Option<&PartitionEntry>, Option<Tick>),
    ) -> Result<Known, ProxyError> {
        let reader = Reader::of_write(proxy, call, target, within, snapshot);
        reader.check_loaded()?;
        let key = target.primary_key()?;
        let path = FieldPath {
            field: key.id,
            name: key.name.clone(),
            data_type: key.data_type,
            element_type: None,
            steps: Vec::new(),
        };
        let plan = QueryPlan {
            filter: Some(Arc::new(Expr::of_keys(path, keys.iter()))),
            limit: None,
            count_only: false,
            output: fields.iter().map(|field| field.id).collect(),
        };
        let mut shards = reader.query(proxy, plan.clone()).await?.0;
        let answer = match shards.as_mut_slice() {
            [only] => std::mem::take(only),
            several => merge_answers(several, &plan),
        };
        Ok(Known::of(answer))
    }

    fn of(answer: QueryAnswer) -> Known {
        let places = answer.keys.into_iter().enumerate().map(|(place, key)| (key, place)).collect();
        Known { rows: answer.rows, places }
    }

    /// Completes the columns of an upsert: what is not given stays as it was, or becomes the default where there
    /// was no row; undeclared keys that are given come beside those that the row had.
    ///
    /// # Errors
    /// A field that must have a value has none in a new row, or the undeclared keys of a row are too long.
    pub(crate) fn complete(
        mut self,
        schema: &cinclus_types::CollectionSchema,
        checked: &mut Checked,
    ) -> Result<(), RowError> {
        let Some(keys) = checked.keys(schema) else { return Ok(()) };
        let places: Vec<Option<usize>> = keys.iter().map(|key| self.places.get(&key).copied()).collect();
        checked.complete_each(schema, |field, given| match given {
            Some(column) if field.dynamic => self.beside(field, column, &places).map(Some),
            Some(column) => Ok(Some(column)),
            None if field.auto_id => Ok(None),
            None => self.kept(field, &places).map(Some),
        })
    }

    /// The column of a field that is not given.
    fn kept(&mut self, field: &FieldSchema, places: &[Option<usize>]) -> Result<FieldData, RowError> {
        let at = self.rows.columns.iter().position(|column| column.field == field.id);
        let mut column = at.map_or_else(|| output::no_rows(field), |at| self.rows.columns.swap_remove(at));
        let fresh = column.data.len();
        if places.contains(&None) {
            let missing = || RowError::Missing(field.name.clone());
            if !fill::can_be_missing(field) {
                return Err(missing());
            }
            let filled: Column =
                column_from_wire(field, fill::missing(field, 1), 1).map_err(|_| missing())?;
            column.append(&filled);
        }
        let rows: Vec<usize> = places.iter().map(|place| place.unwrap_or(fresh)).collect();
        let mut kept = column.take(&rows);
        // As in every column of a write: no marks if every row has a value.
        kept.valid = kept.valid.filter(|valid| valid.contains(&false));
        Ok(column_to_wire(field, kept))
    }

    /// Puts the undeclared keys that are given beside those that the rows had.
    fn beside(
        &self,
        field: &FieldSchema,
        mut given: FieldData,
        places: &[Option<usize>],
    ) -> Result<FieldData, RowError> {
        let Some(Column { data: ColumnData::Json(old), .. }) = self.rows.column(field.id) else {
            return Ok(given);
        };
        let Some(field_data::Field::Scalars(scalars)) = &mut given.field else { return Ok(given) };
        let Some(scalar_field::Data::JsonData(texts)) = &mut scalars.data else { return Ok(given) };
        for (row, (text, place)) in texts.data.iter_mut().zip(places).enumerate() {
            let Some(place) = place else { continue };
            let bad = || RowError::Json {
                field: field.name.clone(),
                row,
                reason: "it is not a JSON object".to_owned(),
            };
            *text = members::merged(old.get(*place), text).ok_or_else(bad)?;
            let (length, limit) = (text.len(), JSON_BYTES_MAX);
            if length > limit {
                return Err(RowError::JsonTooLong { field: field.name.clone(), length, limit });
            }
        }
        Ok(given)
    }
}

#[cfg(test)]
#[path = "partial_tests.rs"]
mod tests;
