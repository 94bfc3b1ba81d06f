//! From the columns of a write as a client sends them to columns that can go into the log: one for each
//! field, in the order of the schema, of the right type and length, without a value that does not fit.

use cinclus_types::proto::schema::{FieldData, ScalarField, field_data, scalar_field, vector_field};
use cinclus_types::{CollectionSchema, DataType, FieldSchema, Keys};

use crate::convert::{columns, keys};
use crate::validate::{RowError, fill, values};

/// Rows that can go into the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Completed {
    /// How many.
    pub count: usize,
    /// One column for each field, in the order of the schema.
    pub columns: Vec<FieldData>,
    /// Their primary keys.
    pub keys: Keys,
}

/// Columns of a write that were checked, before what is missing is filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    count: usize,
    slots: Vec<Option<FieldData>>,
}

impl Checked {
    /// Checks the columns of an insert.
    ///
    /// # Errors
    /// The first fault that is found.
    pub fn insert(
        schema: &CollectionSchema,
        given: Vec<FieldData>,
        count: usize,
    ) -> Result<Checked, RowError> {
        let checked = Checked::upsert(schema, given, count)?;
        match schema.fields.iter().zip(&checked.slots).find(|(field, slot)| field.auto_id && slot.is_some()) {
            Some((field, _)) => Err(RowError::AutoIdGiven {
                field: field.name.clone(),
                expected: schema.fields.len(),
                actual: schema.fields.len() + 1,
            }),
            None => Ok(checked),
        }
    }

    /// Checks the columns of an upsert, which may name keys that the server made.
    ///
    /// # Errors
    /// The first fault that is found.
    pub fn upsert(
        schema: &CollectionSchema,
        given: Vec<FieldData>,
        count: usize,
    ) -> Result<Checked, RowError> {
        let checked = Checked::read(schema, given, count)?;
        // Every schema has a vector that must be given: after this, `count` is as real as the request.
        let missing = |(field, slot): (&FieldSchema, &Option<FieldData>)| {
            (slot.is_none() && !field.auto_id && !fill::can_be_missing(field)).then(|| field.name.clone())
        };
        match schema.fields.iter().zip(&checked.slots).find_map(missing) {
            Some(name) => Err(RowError::Missing(name)),
            None => Ok(checked),
        }
    }

    /// Checks the columns of an upsert that may leave out any field but the primary key.
    ///
    /// # Errors
    /// The first fault that is found.
    pub fn partial(
        schema: &CollectionSchema,
        given: Vec<FieldData>,
        count: usize,
    ) -> Result<Checked, RowError> {
        let checked = Checked::read(schema, given, count)?;
        match schema.primary_key() {
            // The keys make `count` real.
            Some(key) if checked.keys(schema).is_none() => Err(RowError::Missing(key.name.clone())),
            Some(_) | None => Ok(checked),
        }
    }

    /// Checks the columns that are given.
    fn read(schema: &CollectionSchema, given: Vec<FieldData>, count: usize) -> Result<Checked, RowError> {
        if count == 0 {
            return Err(RowError::NoRows);
        }
        let mut slots: Vec<Option<FieldData>> = vec![None; schema.fields.len()];
        for column in given {
            let at = position(schema, &column)?;
            if slots[at].replace(column).is_some() {
                return Err(RowError::Duplicated(schema.fields[at].name.clone()));
            }
        }
        for (field, slot) in schema.fields.iter().zip(&mut slots) {
            *slot = slot.take().map(|column| check(field, column, count)).transpose()?;
        }
        Ok(Checked { count, slots })
    }

    /// How many rows.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The given primary keys, if there are such.
    #[must_use]
    pub fn keys(&self, schema: &CollectionSchema) -> Option<Keys> {
        let at = schema.fields.iter().position(|field| field.primary_key)?;
        keys::of_column(self.slots[at].as_ref()?)
    }

    /// The fields whose old values make such an upsert whole: those not given, and undeclared keys.
    #[must_use]
    pub fn not_given(&self, schema: &CollectionSchema) -> Vec<FieldSchema> {
        let fields = schema.fields.iter().zip(&self.slots);
        fields
            .filter(|(field, slot)| slot.is_none() || field.dynamic)
            .map(|(field, _)| field.clone())
            .collect()
    }

    /// Gives each field the column that `complete` makes of the given one.
    ///
    /// # Errors
    /// The first of `complete`.
    pub fn complete_each(
        &mut self,
        schema: &CollectionSchema,
        mut complete: impl FnMut(&FieldSchema, Option<FieldData>) -> Result<Option<FieldData>, RowError>,
    ) -> Result<(), RowError> {
        for (field, slot) in schema.fields.iter().zip(&mut self.slots) {
            *slot = complete(field, slot.take())?;
        }
        Ok(())
    }

    /// Leaves the given primary keys out: they will be made anew.
    pub fn drop_keys(&mut self, schema: &CollectionSchema) {
        let fields = schema.fields.iter().zip(&mut self.slots);
        fields.filter(|(field, _)| field.primary_key).for_each(|(_, slot)| *slot = None);
    }

    /// Fills in what was not given. `auto_ids` are for the keys that the server makes.
    #[must_use]
    pub fn complete(self, schema: &CollectionSchema, auto_ids: &[i64]) -> Completed {
        let count = self.count;
        let fill = |(field, slot): (&FieldSchema, Option<FieldData>)| match slot {
            Some(column) => column,
            None if field.auto_id => fill::auto_ids(field, auto_ids),
            None => fill::missing(field, count),
        };
        let columns: Vec<FieldData> = schema.fields.iter().zip(self.slots).map(fill).collect();
        let key = schema.fields.iter().position(|field| field.primary_key);
        let keys = key.and_then(|at| keys::of_column(&columns[at])).unwrap_or(Keys::Int64(Vec::new()));
        Completed { count, columns, keys }
    }
}

/// Which field a column is for.
fn position(schema: &CollectionSchema, column: &FieldData) -> Result<usize, RowError> {
    let name = column.field_name.as_str();
    let is_meta = column.is_dynamic || name == CollectionSchema::DYNAMIC_FIELD;
    schema
        .fields
        .iter()
        .position(|field| if is_meta { field.dynamic } else { !field.dynamic && field.name == name })
        .ok_or_else(|| RowError::UnknownField(name.to_owned()))
}

/// Checks one column, and gives it the form that the log has: full length, the marks of nulls at the
/// column, no marks if every row has a value.
///
/// # Errors
/// The first value that does not fit.
pub fn check(field: &FieldSchema, mut column: FieldData, count: usize) -> Result<FieldData, RowError> {
    let given = take_valid(&mut column);
    let valid = empty_json_as_null(field, &column, given);
    if valid.len() != count && !valid.is_empty() {
        return Err(RowError::RowCount { field: field.name.clone(), expected: count, actual: valid.len() });
    }
    let nulls = valid.iter().any(|valid| !valid);
    if nulls && !field.nullable && field.default.is_none() {
        let row = valid.iter().position(|valid| !valid).unwrap_or(0);
        return Err(RowError::NotNullable(field.name.clone(), row));
    }
    if field.data_type == DataType::FloatVector {
        check_vectors(field, &column, count)?;
    } else {
        check_scalars(field, &mut column, &valid, count)?;
    }
    column.r#type = field.data_type.number();
    column.field_name.clone_from(&field.name);
    column.field_id = field.id.0;
    column.is_dynamic = field.dynamic;
    if nulls && !field.default.as_ref().is_some_and(|default| fill::put_default(&mut column, default, &valid))
    {
        column.valid_data = valid;
    }
    Ok(column)
}

/// Takes the marks of nulls from where the client put them: newer clients put them into the column.
fn take_valid(column: &mut FieldData) -> Vec<bool> {
    let inner = match &mut column.field {
        Some(field_data::Field::Scalars(scalars)) => std::mem::take(&mut scalars.valid_data),
        Some(field_data::Field::Vectors(vectors)) => std::mem::take(&mut vectors.valid_data),
        Some(field_data::Field::StructArrays(_)) | None => Vec::new(),
    };
    let outer = std::mem::take(&mut column.valid_data);
    if inner.is_empty() { outer } else { inner }
}

/// The Node SDK sends a null of a JSON field as no bytes and marks it as a value.
fn empty_json_as_null(field: &FieldSchema, column: &FieldData, valid: Vec<bool>) -> Vec<bool> {
    if let (true, Some(field_data::Field::Scalars(ScalarField { data: Some(data), .. }))) =
        (field.nullable, &column.field)
        && let scalar_field::Data::JsonData(texts) = data
        && (valid.is_empty() || valid.len() == texts.data.len())
        && texts.data.iter().any(|text| text.is_empty())
    {
        let mark =
            |(row, text): (usize, &bytes::Bytes)| !text.is_empty() && valid.get(row).copied().unwrap_or(true);
        return texts.data.iter().enumerate().map(mark).collect();
    }
    valid
}

fn check_vectors(field: &FieldSchema, column: &FieldData, count: usize) -> Result<(), RowError> {
    let wrong = || RowError::WrongType { field: field.name.clone(), expected: field.data_type };
    let Some(field_data::Field::Vectors(vectors)) = &column.field else { return Err(wrong()) };
    let Some(vector_field::Data::FloatVector(floats)) = &vectors.data else { return Err(wrong()) };
    let dim = field.dim();
    if floats.data.is_empty() && count > 0 {
        return Err(RowError::Empty { field: field.name.clone(), data_type: field.data_type });
    }
    if floats.data.len() % dim.max(1) != 0 {
        return Err(RowError::NotWhole { length: floats.data.len(), dim });
    }
    if usize::try_from(vectors.dim) != Ok(dim) {
        return Err(RowError::Dimension { field: field.name.clone(), expected: dim, actual: vectors.dim });
    }
    if floats.data.len() != count * dim {
        let actual = floats.data.len() / dim.max(1);
        return Err(RowError::RowCount { field: field.name.clone(), expected: count, actual });
    }
    values::finite(field, &floats.data)
}

fn check_scalars(
    field: &FieldSchema,
    column: &mut FieldData,
    valid: &[bool],
    count: usize,
) -> Result<(), RowError> {
    let scalars = match &mut column.field {
        Some(field_data::Field::Scalars(scalars)) => scalars,
        Some(field_data::Field::Vectors(_) | field_data::Field::StructArrays(_)) => {
            return Err(RowError::WrongType { field: field.name.clone(), expected: field.data_type });
        }
        // A client that has only nulls sends no values at all.
        none => {
            *none = Some(field_data::Field::Scalars(ScalarField::default()));
            let Some(field_data::Field::Scalars(scalars)) = none else { return Ok(()) };
            scalars
        }
    };
    if scalars.data.is_none() {
        scalars.data = Some(fill::no_values(field.data_type, field.element_type));
    }
    if columns::scalar_len(scalars) == 0 && count > 0 && !fill::can_be_missing(field) {
        return Err(RowError::Empty { field: field.name.clone(), data_type: field.data_type });
    }
    set_element_type(field, scalars);
    let (length, present) = (columns::scalar_len(scalars), valid.iter().filter(|valid| **valid).count());
    if present < valid.len() {
        // Clients leave null rows out, or send anything in their places.
        if length == present {
            fill::spread(scalars, valid);
        } else if length == count {
            fill::blank(scalars, valid);
        }
    }
    values::scalars(field, field.data_type, scalars)?;
    match columns::scalar_len(scalars) {
        all if all == count => Ok(()),
        actual => Err(RowError::RowCount { field: field.name.clone(), expected: count, actual }),
    }
}

fn set_element_type(field: &FieldSchema, scalars: &mut ScalarField) {
    if let (Some(scalar_field::Data::ArrayData(arrays)), Some(element)) =
        (&mut scalars.data, field.element_type)
    {
        arrays.element_type = element.number();
        for row in &mut arrays.data {
            // An empty list has no values and so no kind of its own.
            if row.data.is_none() {
                row.data = Some(fill::no_values(element, None));
            }
        }
    }
}
