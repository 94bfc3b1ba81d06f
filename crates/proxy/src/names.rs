//! Which names are allowed.

/// A name that is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Of a collection.
    #[error("{0}: invalid parameter")]
    Collection(String),
    /// Of an alias.
    #[error("{0}: invalid parameter")]
    Alias(String),
    /// Of an index.
    #[error("{0}: invalid parameter")]
    Index(String),
    /// Of a field.
    #[error("Invalid field name: {name}. {fault}: field name invalid[field={name}]")]
    Field {
        /// The name.
        name: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// Of a field without one.
    #[error("field name should not be empty: field name invalid[field=]")]
    NoField,
    /// Of a field: a word of the filter language.
    #[error("Invalid field name: {0}. {0} is keyword in milvus.: field name invalid[field={0}]")]
    Keyword(String),
    /// Of a partition.
    #[error("Invalid partition name: {name}. {fault}")]
    Partition {
        /// The name.
        name: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// Of a database.
    #[error("{fault}: invalid database name[database={name}]")]
    Database {
        /// The name.
        name: String,
        /// What is wrong with it.
        fault: &'static str,
    },
}

/// The longest name, in bytes.
const LENGTH_MAX: usize = 255;

enum Fault {
    Empty,
    TooLong,
    First,
    Character,
}

fn fault(name: &str, more: &str) -> Option<Fault> {
    let first = name.chars().next()?;
    if name.len() > LENGTH_MAX {
        Some(Fault::TooLong)
    } else if first != '_' && !first.is_ascii_alphabetic() {
        Some(Fault::First)
    } else if name.chars().any(|c| c != '_' && !c.is_ascii_alphanumeric() && !more.contains(c)) {
        Some(Fault::Character)
    } else {
        None
    }
}

fn fault_or_empty(name: &str) -> Option<Fault> {
    if name.is_empty() { Some(Fault::Empty) } else { fault(name, "") }
}

/// Checks the name of a collection.
///
/// # Errors
/// [`NameError::Collection`].
pub fn collection(name: &str) -> Result<(), NameError> {
    entity("collection name", name).map_err(NameError::Collection)
}

/// Checks an alias.
///
/// # Errors
/// [`NameError::Alias`].
pub fn alias(name: &str) -> Result<(), NameError> {
    entity("collection alias", name).map_err(NameError::Alias)
}

/// Checks the name of an index.
///
/// # Errors
/// [`NameError::Index`].
pub fn index(name: &str) -> Result<(), NameError> {
    let text = match fault(name.trim(), "$") {
        None => return Ok(()),
        Some(Fault::Empty) => "The index name should not be empty.",
        Some(Fault::TooLong) => "The length of a index name must be less than 255 characters.",
        Some(Fault::First) => "The first character of a index name must be an underscore or letter.",
        Some(Fault::Character) => "Index name can only contain numbers, letters, and underscores.",
    };
    Err(NameError::Index(format!("Invalid index name: {name}. {text}")))
}

fn entity(what: &str, name: &str) -> Result<(), String> {
    let text = match fault_or_empty(name) {
        None => return Ok(()),
        Some(Fault::Empty) => return Err(format!("{what} should not be empty")),
        Some(Fault::TooLong) => format!("the length of a {what} must be less than {LENGTH_MAX} characters"),
        Some(Fault::First) => format!("the first character of a {what} must be an underscore or letter"),
        Some(Fault::Character) => format!("{what} can only contain numbers, letters and underscores"),
    };
    Err(format!("Invalid {what}: {name}. {text}"))
}

/// Words of the filter language that no field may have as its name, as Milvus has them.
const KEYWORDS: [&str; 33] = [
    "like",
    "exists",
    "EXISTS",
    "and",
    "or",
    "not",
    "in",
    "json_contains",
    "JSON_CONTAINS",
    "json_contains_all",
    "JSON_CONTAINS_ALL",
    "json_contains_any",
    "JSON_CONTAINS_ANY",
    "array_contains",
    "ARRAY_CONTAINS",
    "array_contains_all",
    "ARRAY_CONTAINS_ALL",
    "array_contains_any",
    "ARRAY_CONTAINS_ANY",
    "array_length",
    "ARRAY_LENGTH",
    "true",
    "True",
    "TRUE",
    "false",
    "False",
    "FALSE",
    "text_match",
    "TEXT_MATCH",
    "phrase_match",
    "PHRASE_MATCH",
    "random_sample",
    "RANDOM_SAMPLE",
];

/// Checks the name of a field.
///
/// # Errors
/// [`NameError::Field`], [`NameError::Keyword`].
pub fn field(name: &str) -> Result<(), NameError> {
    let fault = match fault_or_empty(name) {
        None if KEYWORDS.contains(&name) => return Err(NameError::Keyword(name.to_owned())),
        None => return Ok(()),
        Some(Fault::Empty) => return Err(NameError::NoField),
        Some(Fault::TooLong) => "The length of a field name must be less than 255 characters.",
        Some(Fault::First) => "The first character of a field name must be an underscore or letter.",
        Some(Fault::Character) => "Field name can only contain numbers, letters, and underscores.",
    };
    Err(NameError::Field { name: name.to_owned(), fault })
}

/// Checks the name of a partition.
///
/// # Errors
/// [`NameError::Partition`].
pub fn partition(name: &str) -> Result<(), NameError> {
    let name = name.trim();
    // Milvus' words for the first character are stricter than it is.
    let begun = name.strip_prefix(|c: char| c.is_ascii_digit()).map(|rest| format!("_{rest}"));
    let fault =
        match if name.is_empty() { Some(Fault::Empty) } else { fault(begun.as_deref().unwrap_or(name), "-") }
        {
            None => return Ok(()),
            Some(Fault::Empty) => "Partition name should not be empty.",
            Some(Fault::TooLong) => "The length of a partition name must be less than 255 characters.",
            Some(Fault::First) => "The first character of a partition name must be an underscore or letter.",
            Some(Fault::Character) => "Partition name can only contain numbers, letters and underscores.",
        };
    Err(NameError::Partition { name: name.to_owned(), fault })
}

/// Checks the name of a database.
///
/// # Errors
/// [`NameError::Database`].
pub fn database(name: &str) -> Result<(), NameError> {
    let fault = match if name.is_empty() { Some(Fault::Empty) } else { fault(name, "-") } {
        None => return Ok(()),
        Some(Fault::Empty) => "database name couldn't be empty",
        Some(Fault::TooLong) => "the length of a database name must be less than 255 characters",
        Some(Fault::First) => "the first character of a database name must be an underscore or letter",
        Some(Fault::Character) => "database name can only contain numbers, letters and underscores",
    };
    Err(NameError::Database { name: name.to_owned(), fault })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(result: Result<(), NameError>) -> String {
        result.err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn names_are_judged_with_the_documented_texts() {
        assert_eq!(text(collection("_a1")), "");
        assert_eq!(text(collection("")), "collection name should not be empty: invalid parameter");
        assert_eq!(
            text(collection("1a")),
            "Invalid collection name: 1a. the first character of a collection name must be an underscore or letter: invalid parameter"
        );
        assert_eq!(
            text(collection("a-b")),
            "Invalid collection name: a-b. collection name can only contain numbers, letters and underscores: invalid parameter"
        );
        let long = "a".repeat(256);
        assert!(
            text(collection(&long))
                .contains("the length of a collection name must be less than 255 characters")
        );
        assert!(text(alias("!")).contains("the first character of a collection alias must be"));
        assert!(text(field("12-s")).starts_with("Invalid field name: 12-s. "));
        assert_eq!(
            text(partition("a b")),
            "Invalid partition name: a b. Partition name can only contain numbers, letters and underscores."
        );
        assert_eq!((text(partition("1")), text(partition("p-2024-01"))), (String::new(), String::new()));
        assert!(text(partition("-p")).contains("The first character of a partition name must be"));
        assert!(text(partition(" ")).ends_with("Partition name should not be empty."));
        assert_eq!(text(field("")), "field name should not be empty: field name invalid[field=]");
        assert_eq!(text(database("")), "database name couldn't be empty: invalid database name[database=]");
        assert!(text(database("a?b")).ends_with("invalid database name[database=a?b]"));
    }
}
