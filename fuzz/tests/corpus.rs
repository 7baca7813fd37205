//! Every kept input, through the function that it was kept for.

use std::path::Path;

use paramedic_fuzz::TARGETS;

#[test]
fn what_was_found_once_stays_found() {
    for (name, target) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let mut count = 0;
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{name}: {e}")) {
            let path = entry.expect("an entry").path();
            target(&std::fs::read(&path).expect("an input"));
            count += 1;
        }
        assert!(count > 0, "{name} has no corpus");
    }
}
