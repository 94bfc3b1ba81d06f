//! A crate depends only on lower floors, by dependencies of every kind.

use std::collections::BTreeMap;

use super::finding::Finding;
use crate::workspace::Workspace;

/// A crate as this rule sees it.
#[derive(Debug)]
pub(super) struct Crate {
    name: String,
    manifest: String,
    floor: Option<u32>,
    /// Names of what it depends on, inside and outside the workspace, with the kind as one says it.
    edges: Vec<(String, String)>,
}

/// The crates of the workspace.
pub(super) fn crates(workspace: &Workspace) -> Vec<Crate> {
    let of_package = |package: &crate::workspace::Package| {
        let manifest = package.manifest_path.strip_prefix(&workspace.root).unwrap_or(&package.manifest_path);
        let edge = |edge: &crate::workspace::Dependency| {
            (edge.name.clone(), edge.kind.clone().unwrap_or_else(|| "normal".to_owned()))
        };
        Crate {
            name: package.name.clone(),
            manifest: manifest.to_string_lossy().into_owned(),
            floor: package.metadata.as_ref().and_then(|metadata| metadata.floor),
            edges: package.dependencies.iter().map(edge).collect(),
        }
    };
    workspace.packages.iter().map(of_package).collect()
}

/// Crates without a floor, and edges that do not go down.
pub(super) fn findings(crates: &[Crate]) -> Vec<Finding> {
    let floors: BTreeMap<&str, Option<u32>> =
        crates.iter().map(|member| (member.name.as_str(), member.floor)).collect();
    let mut findings = Vec::new();
    for member in crates {
        let mut say = |message: String| {
            findings.push(Finding { path: member.manifest.clone(), line: 0, message });
        };
        let Some(floor) = member.floor else {
            say("no floor: add `floor = N` under [package.metadata]".to_owned());
            continue;
        };
        for (target, kind) in &member.edges {
            // A crate without a floor is reported by itself; a name that is not here is not ours.
            let Some(Some(target_floor)) = floors.get(target.as_str()) else { continue };
            if *target_floor >= floor {
                say(format!(
                    "{} (floor {floor}) depends on {target} (floor {target_floor}) by a {kind} dependency: \
                     edges go down only",
                    member.name
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::finding::printed;
    use super::*;

    fn member(name: &str, floor: Option<u32>, edges: &[(&str, &str)]) -> Crate {
        Crate {
            name: name.to_owned(),
            manifest: format!("crates/{name}/Cargo.toml"),
            floor,
            edges: edges.iter().map(|(target, kind)| ((*target).to_owned(), (*kind).to_owned())).collect(),
        }
    }

    #[test]
    fn edges_that_go_down_are_right() {
        let crates = [
            member("wal", Some(4), &[("types", "normal"), ("env", "dev"), ("serde", "normal")]),
            member("env", Some(1), &[("types", "normal")]),
            member("types", Some(0), &[]),
        ];
        assert_eq!(findings(&crates), []);
    }

    #[test]
    fn an_edge_up_or_along_a_floor_is_found_whatever_its_kind() {
        for (kind, floor) in [("normal", 4), ("dev", 4), ("build", 5)] {
            let crates = [member("wal", Some(4), &[("segment", kind)]), member("segment", Some(floor), &[])];
            let expected = format!(
                "crates/wal/Cargo.toml: wal (floor 4) depends on segment (floor {floor}) by a {kind} dependency: \
                 edges go down only"
            );
            assert_eq!(printed(&findings(&crates)), [expected]);
        }
    }

    #[test]
    fn a_crate_without_a_floor_is_found() {
        let crates = [member("attic", None, &[])];
        assert_eq!(
            printed(&findings(&crates)),
            ["crates/attic/Cargo.toml: no floor: add `floor = N` under [package.metadata]"]
        );
    }
}
