//! The arrows of ARCHITECTURE.md, kept by reading the sources.

use std::fs;
use std::path::{Path, PathBuf};

/// A folder under the package root, and what its code must not name.
struct Layer {
    root: &'static str,
    forbidden: &'static [&'static str],
}

const LAYERS: &[Layer] = &[
    Layer {
        root: "src/ssm",
        forbidden: &[
            "tokio",
            "std::net",
            "std::env",
            "Instant::now",
            "SystemTime::now",
            "getrandom",
            "aws_c",
            "aws_s",
            "crate::aws",
            "crate::ecs",
            "crate::plugin",
            "crate::project",
            "crate::live",
            "crate::resolve",
            "crate::session",
            "crate::ui",
            "println!",
        ],
    },
    Layer {
        root: "src/exec",
        forbidden: &[
            "tokio",
            "std::net",
            "std::env",
            "std::io",
            "std::process",
            "Instant::now",
            "getrandom",
            "aws_c",
            "aws_s",
            "crate::aws",
            "crate::ecs",
            "crate::plugin",
            "crate::project",
            "crate::resolve",
            "crate::session",
            "crate::ssm",
            "crate::ui",
            "println!",
        ],
    },
    Layer {
        root: "src/project",
        forbidden: &[
            "tokio",
            "std::net::Tcp",
            "std::net::Udp",
            "std::process",
            "env::var",
            "aws_c",
            "aws_s",
            "crate::aws",
            "crate::live",
            "crate::resolve",
            "crate::session",
            "crate::ssm",
            "println!",
        ],
    },
    Layer {
        root: "src/ecs",
        forbidden: &[
            "tokio::net",
            "aws_c",
            "aws_s",
            "crate::aws",
            "crate::project",
            "crate::session",
            "crate::ssm",
        ],
    },
    Layer {
        root: "src/aws",
        forbidden: &["crate::live", "crate::project", "crate::resolve", "crate::session", "crate::ssm"],
    },
    Layer {
        root: "src/session",
        forbidden: &["aws_c", "aws_s", "crate::aws", "crate::live", "crate::project", "crate::resolve"],
    },
    Layer {
        root: "src/plugin",
        forbidden: &[
            "tokio",
            "aws_c",
            "aws_s",
            "crate::aws",
            "crate::ecs",
            "crate::project",
            "crate::session",
            "crate::ssm",
        ],
    },
    Layer {
        root: "src/dispatch",
        forbidden: &[
            "tokio",
            "aws_c",
            "aws_s",
            "ecsx::aws",
            "ecsx::ecs",
            "ecsx::project",
            "ecsx::session",
            "ecsx::ssm",
        ],
    },
    Layer {
        root: "src/ui",
        forbidden: &["aws_c", "aws_s", "crate::aws", "crate::project", "crate::session", "crate::ssm"],
    },
    Layer { root: "src/live", forbidden: &["aws_c", "aws_s", "crate::session", "crate::ssm", "println!"] },
    Layer { root: "plugins", forbidden: &["aws_c", "aws_s"] },
];

#[test]
fn no_module_names_what_it_must_not_know() {
    let mut broken = Vec::new();
    for layer in LAYERS {
        let files = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(layer.root));
        assert!(!files.is_empty(), "{} holds no Rust source: has it moved?", layer.root);
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            for (number, line) in text.lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                for word in layer.forbidden.iter().filter(|word| code.contains(**word)) {
                    broken.push(format!("{}:{}: names {word}", file.display(), number + 1));
                }
            }
        }
    }
    assert!(broken.is_empty(), "forbidden arrows:\n{}", broken.join("\n"));
}

/// Every `.rs` file below `root`.
fn sources(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}
