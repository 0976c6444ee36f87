use super::*;

#[test]
fn the_section_is_replaced_and_the_rest_stays() {
    let document = format!("# Title\n\n{BEGIN}old\n{END}\nrest\n");
    let once = replaced(&document, "new\n").unwrap();
    assert!(once.starts_with("# Title\n\n") && once.ends_with("\nrest\n"));
    assert!(once.contains("\nnew\n") && !once.contains("old"));
    assert_eq!(replaced(&once, "new\n").unwrap(), once);
}

#[test]
fn a_document_without_markers_is_left_alone() {
    assert_eq!(replaced("# Title\n", "new"), None);
    assert_eq!(replaced(&format!("{END}{BEGIN}"), "new"), None);
}

#[test]
fn the_documentation_has_the_markers() {
    let document = fs::read_to_string(Path::new(DOCS).join(DOCUMENT)).unwrap();
    assert!(replaced(&document, "new").is_some());
}
