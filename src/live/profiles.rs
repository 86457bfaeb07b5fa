//! Names of profiles and regions, from the AWS configuration's own files.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::plugin::Candidate;

/// What the files hold: `~/.aws/config` and `~/.aws/credentials`, or where the environment says.
pub(super) fn files() -> Vec<String> {
    let named = |variable: &str, name: &str| {
        let file = std::env::var_os(variable).map(PathBuf::from);
        file.or_else(|| std::env::home_dir().map(|home| home.join(".aws").join(name)))
    };
    let files = [named("AWS_CONFIG_FILE", "config"), named("AWS_SHARED_CREDENTIALS_FILE", "credentials")];
    files.into_iter().flatten().filter_map(|file| std::fs::read_to_string(file).ok()).collect()
}

/// `[profile NAME]` of the one, `[NAME]` of the other; `[sso-session …]` and the like are none.
pub(super) fn names(files: &[String]) -> Vec<Candidate> {
    let headings = files.iter().flat_map(|text| text.lines()).filter_map(|line| {
        let heading = line.trim().strip_prefix('[')?.split(']').next()?.trim();
        let mut words = heading.splitn(2, char::is_whitespace);
        match (words.next()?, words.next()) {
            ("profile", Some(name)) => Some(name.trim()),
            (name, None) => Some(name),
            _ => None,
        }
    });
    let names: BTreeSet<&str> = headings.collect();
    names.into_iter().map(Candidate::from).collect()
}

/// The regions that the user's profiles name: the ones that are in use.
pub(super) fn regions(files: &[String]) -> Vec<Candidate> {
    let values = files.iter().flat_map(|text| text.lines()).filter_map(|line| {
        let (key, value) = line.split_once('=')?;
        matches!(key.trim(), "region" | "sso_region").then(|| value.trim())
    });
    let regions: BTreeSet<&str> = values.collect();
    regions.into_iter().map(Candidate::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_and_regions_are_read_from_both_files() {
        let config = "[default]\nregion = eu-west-1\n[profile prod east]\nregion=us-east-1\n\
                      [sso-session corp]\nsso_region = eu-west-1\n[services x]\n";
        let credentials = "[old]\naws_access_key_id = AKIA\n";
        let files = [config.to_owned(), credentials.to_owned()];
        let values = |candidates: Vec<Candidate>| candidates.into_iter().map(|c| c.value).collect::<Vec<_>>();
        assert_eq!(values(names(&files)), ["default", "old", "prod east"]);
        assert_eq!(values(regions(&files)), ["eu-west-1", "us-east-1"]);
    }
}
