use super::replaced;

#[test]
fn a_section_is_replaced_and_the_rest_of_the_document_stays() {
    let [begin, end] = super::markers("lossy");
    let document = format!("before\n{begin}old\n{end}after\n");
    let replaced = replaced(&document, "lossy", "new\n").unwrap();
    assert_eq!(replaced, format!("before\n{begin}\nnew\n\n{end}after\n"));
    assert_eq!(super::replaced(&document, "recovery", "new"), None);
}
