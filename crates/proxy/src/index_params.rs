//! What parameters of kinds of indexes may be, when they are built and when they are searched. All rows are searched
//! here, whatever they say; but a value that no index could take is a mistake, and is told as Milvus tells it.

use std::collections::BTreeMap;

use crate::status::ProxyError;

/// A whole number: its name, how the names of the kinds of indexes that take it begin, the least, and the greatest.
type Whole = (&'static str, &'static [&'static str], i64, i64);

const INT_MAX: i64 = i32::MAX as i64;
/// Kinds that keep vectors in fewer bits, and may look at better ones again.
const REFINED: [&str; 4] = ["HNSW_SQ", "HNSW_PQ", "HNSW_PRQ", "IVF_RABITQ"];

/// Whole numbers of an index to build.
const BUILT: [Whole; 7] = [
    ("nlist", &[""], 1, 65536),
    ("M", &[""], 2, 2048),
    ("efConstruction", &[""], 1, INT_MAX),
    ("m", &["HNSW_PQ", "HNSW_PRQ"], 1, 65536),
    ("nbits", &["HNSW_PQ", "HNSW_PRQ"], 1, 24),
    ("nbits", &[""], 1, 64),
    ("nrq", &["HNSW_PRQ"], 1, 16),
];

/// Whole numbers of a search.
const SEARCHED: [Whole; 6] = [
    ("ef", &["HNSW"], 1, INT_MAX),
    ("nprobe", &["IVF_", "SCANN"], 1, 65536),
    ("reorder_k", &["SCANN"], 1, INT_MAX),
    ("search_list", &["DISKANN"], 1, INT_MAX),
    ("search_list_size", &["DISKANN"], 1, INT_MAX),
    ("rbq_bits_query", &["IVF_RABITQ"], 0, 8),
];

/// How many times more hits than wanted are looked at again.
const REFINE_K: &str = "refine_k";

fn takes(kinds: &[&str], kind: &str) -> bool {
    kinds.iter().any(|begin| kind.starts_with(begin))
}

/// Whether a search parameter is for kinds of indexes.
#[must_use]
pub fn is_of_search(key: &str) -> bool {
    key == REFINE_K || SEARCHED.iter().any(|(known, ..)| *known == key)
}

/// Judges the parameters of an index to build over vectors of a dimension (0: no vectors).
///
/// # Errors
/// One cannot be.
pub fn check_build(params: &BTreeMap<String, String>, dim: usize) -> Result<(), ProxyError> {
    // What is None in Python has been left out.
    let given = |key: &str| params.get(key).filter(|text| !matches!(text.as_str(), "None" | "null"));
    let kind = given("index_type").map_or_else(String::new, |kind| kind.to_ascii_uppercase());
    for (key, kinds, low, high) in BUILT {
        if let Some(text) = given(key).filter(|_| takes(kinds, &kind)) {
            check_whole(key, text, low, high)?;
        }
    }
    let refuse = |text: String| Err(ProxyError::Invalid(text));
    if let (Some(m), true) = (given("m"), takes(&["IVF_PQ", "HNSW_PQ", "HNSW_PRQ"], &kind))
        && m.trim().parse().is_ok_and(|m: usize| !dim.is_multiple_of(m))
    {
        let which = if kind == "HNSW_PQ" { "the" } else { "a" };
        return refuse(format!(
            "The dimension of {which} vector (dim) should be a multiple of the number of subquantizers (m). Dimension:{dim}, m:{m}"
        ));
    }
    if let Some(name) = given("sq_type").filter(|_| kind == "HNSW_SQ")
        && !["sq4u", "sq6", "sq8", "bf16", "fp16"].contains(&name.to_ascii_lowercase().as_str())
    {
        return refuse("invalid scalar quantizer type".to_owned());
    }
    if !REFINED.contains(&kind.as_str()) {
        return Ok(());
    }
    if let Some(text) = given("refine")
        && !matches!(text.to_ascii_lowercase().as_str(), "true" | "false")
    {
        return refuse(format!("Type conflict in json: param 'refine' (\"{text}\") should be a boolean"));
    }
    let types = ["sq4u", "sq6", "sq8", "fp16", "bf16", "fp32", "flat"];
    let types = if kind == "IVF_RABITQ" { &types[1..] } else { &types[..] };
    match given("refine_type") {
        Some(name) if !types.contains(&name.to_ascii_lowercase().as_str()) => {
            refuse(format!("invalid refine type : {name}, optional types are [{}]", types.join(", ")))
        }
        Some(_) | None => Ok(()),
    }
}

fn check_whole(key: &str, text: &str, low: i64, high: i64) -> Result<(), ProxyError> {
    let what = match text.trim().parse::<i64>() {
        Ok(number) if (low..=high).contains(&number) => return Ok(()),
        Ok(_) => format!("Out of range in json: param '{key}' ({text}) should be in range [{low}, {high}]"),
        Err(_) if text.trim().parse::<f64>().is_ok() => {
            format!("wrong data type in json, key: '{key}', value: '{text}'")
        }
        Err(_) => format!("invalid integer value, key: '{key}', value: '{text}'"),
    };
    Err(ProxyError::Invalid(what))
}

/// Judges the parameters of a search for a kind of index. They stand as JSON has them, texts without quotes.
///
/// # Errors
/// One cannot be.
pub fn check_search(params: &BTreeMap<String, String>, kind: &str) -> Result<(), ProxyError> {
    let refuse = |what: String| Err(ProxyError::Plain(format!("fail to search on QueryNode: {what}")));
    for (key, kinds, low, high) in SEARCHED {
        let Some(text) = params.get(key).filter(|_| takes(kinds, kind)) else { continue };
        match text.trim().parse::<i64>() {
            Ok(number) if (low..=high).contains(&number) => {}
            Ok(_) => {
                let range = format!("[{low}, {high}]");
                return refuse(format!(
                    "Out of range in json: param '{key}' ({text}) should be in range {range}"
                ));
            }
            Err(_) => {
                return refuse(format!("Type conflict in json: param '{key}' ({text}) should be integer"));
            }
        }
    }
    let Some(text) = params.get(REFINE_K).filter(|_| REFINED.contains(&kind)) else { return Ok(()) };
    match text.trim().parse::<f64>() {
        Ok(number) if (1.0..=f64::from(f32::MAX)).contains(&number) => Ok(()),
        Ok(_) => refuse(format!(
            "Out of range in json: param '{REFINE_K}' ({text}) should be in range [1.000000, {:.6}]",
            f32::MAX
        )),
        Err(_) if text.is_empty() => refuse(format!("invalid float value, key: '{REFINE_K}', value: ''")),
        Err(_) => refuse(format!("Type conflict in json: param '{REFINE_K}' ({text}) should be a number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn said(judged: Result<(), ProxyError>) -> String {
        judged.map_or_else(|error| error.to_string(), |()| "fine".to_owned())
    }

    fn check(cases: &[(&str, &str, &str, &str)], judge: impl Fn(&str, &str, &str) -> Result<(), ProxyError>) {
        for (kind, key, value, expected) in cases {
            let said = said(judge(kind, key, value));
            assert!(said.contains(expected), "{kind} {key}={value}: {said}");
        }
    }

    #[test]
    fn parameters_of_indexes_to_build() {
        let judge = |kind: &str, key: &str, value: &str| {
            check_build(&own(&[("index_type", kind), (key, value)]), 128)
        };
        check(
            &[
                ("IVF_FLAT", "nlist", "128", "fine"),
                (
                    "IVF_FLAT",
                    "nlist",
                    "-1",
                    "param 'nlist' (-1) should be in range [1, 65536]: invalid parameter",
                ),
                ("HNSW", "M", "16", "fine"),
                ("HNSW", "M", "None", "fine"),
                ("HNSW", "M", "16.0", "wrong data type in json, key: 'M', value: '16.0': invalid parameter"),
                ("HNSW", "M", "True", "invalid integer value, key: 'M', value: 'True': invalid parameter"),
                ("HNSW", "m", "7", "fine"),
                ("HNSW_PQ", "m", "64", "fine"),
                ("HNSW_PQ", "m", "-1", "param 'm' (-1) should be in range [1, 65536]"),
                (
                    "HNSW_PQ",
                    "m",
                    "7",
                    "The dimension of the vector (dim) should be a multiple of the number of subquantizers (m).",
                ),
                ("HNSW_PRQ", "m", "256", "The dimension of a vector (dim) should be a multiple"),
                ("HNSW_PRQ", "nrq", "17", "param 'nrq' (17) should be in range [1, 16]"),
                ("IVF_PQ", "m", "4", "fine"),
                ("IVF_PQ", "m", "3", "The dimension of a vector (dim) should be a multiple of the number of"),
                ("IVF_PQ", "m", "0", "The dimension of a vector (dim) should be a multiple of the number of"),
                (
                    "IVF_PQ",
                    "nbits",
                    "65",
                    "Out of range in json: param 'nbits' (65) should be in range [1, 64]",
                ),
                ("HNSW_PQ", "nbits", "25", "param 'nbits' (25) should be in range [1, 24]"),
                ("HNSW_PQ", "nrq", "17", "fine"),
                ("HNSW_SQ", "sq_type", "SQ8", "fine"),
                ("HNSW_SQ", "sq_type", "FP32", "invalid scalar quantizer type: invalid parameter"),
                ("HNSW_SQ", "refine", "True", "fine"),
                (
                    "IVF_RABITQ",
                    "refine",
                    "1",
                    "param 'refine' (\"1\") should be a boolean: invalid parameter",
                ),
                ("HNSW", "refine", "1", "fine"),
                ("HNSW_SQ", "refine_type", "sq4u", "fine"),
                (
                    "IVF_RABITQ",
                    "refine_type",
                    "SQ4U",
                    "invalid refine type : SQ4U, optional types are [sq6, sq8, fp16, bf16, fp32, flat]",
                ),
                (
                    "HNSW_PQ",
                    "refine_type",
                    "x",
                    "optional types are [sq4u, sq6, sq8, fp16, bf16, fp32, flat]: invalid parameter",
                ),
            ],
            judge,
        );
    }

    #[test]
    fn parameters_of_searches() {
        let judge = |kind: &str, key: &str, value: &str| check_search(&own(&[(key, value)]), kind);
        check(
            &[
                ("HNSW", "ef", "32", "fine"),
                (
                    "HNSW_SQ",
                    "ef",
                    "-1",
                    "fail to search on QueryNode: Out of range in json: param 'ef' (-1) should be in range [1, 2147483647]",
                ),
                ("HNSW", "ef", "32.0", "Type conflict in json: param 'ef' (32.0) should be integer"),
                ("HNSW", "ef", "", "param 'ef' () should be integer"),
                ("HNSW", "nprobe", "-1", "fine"),
                ("AUTOINDEX", "ef", "-1", "fine"),
                ("IVF_SQ8", "nprobe", "65537", "should be in range [1, 65536]"),
                ("SCANN", "reorder_k", "x", "param 'reorder_k' (x) should be integer"),
                ("DISKANN", "search_list", "0", "should be in range [1, 2147483647]"),
                ("IVF_RABITQ", "rbq_bits_query", "9", "should be in range [0, 8]"),
                ("IVF_RABITQ", "refine_k", "2.5", "fine"),
                (
                    "IVF_RABITQ",
                    "refine_k",
                    "0.5",
                    "param 'refine_k' (0.5) should be in range [1.000000, 340282346638528859811704183484516925440.000000]",
                ),
                ("HNSW_SQ", "refine_k", "true", "param 'refine_k' (true) should be a number"),
                ("HNSW_SQ", "refine_k", "", "invalid float value"),
                ("HNSW", "refine_k", "0", "fine"),
            ],
            judge,
        );
        assert!(is_of_search("ef") && is_of_search("refine_k") && !is_of_search("radius"));
    }
}
