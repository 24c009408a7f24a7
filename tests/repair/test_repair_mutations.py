"""Every defect the validator knows, repaired: the copy is clean, or it is said what is missing."""

from __future__ import annotations

import pytest
from mutations import MUTATIONS
from small_sets import SmallSet

from conceptset.errors import LayoutError
from conceptset.repair import RepairOptions, repair_set
from conceptset.validate import validate


def words(text):
    return set(text.split())


REFUSED = {"nothing_at_all", "manifest_of_tomorrow", "index_with_nul"}

# What is gone with its file, its row or its name: the repair has to say so.
LOSES = words(
    """
    bob_is_gone bob_is_not_listed directory_above directory_shared session_twice robot
    session_one_and_a_half segment_cut_short segment_without_size runs_too_long region_without_runs
    tag_with_runs part_of_nothing segment_on_unknown_image photograph_turned_by_bob
    photograph_turned_half_way number_twice name_empty photograph_gone
    foreign_photograph_gone photograph_cut_short photograph_is_text photograph_is_a_folder
    unknown_scene column_of_bob_only photograph_named_as_map manifest_cut_short no_manifest
    no_image_table no_segments_of_bob foreign_without_labels labels_in_latin_1 empty_annotators
    label_row_with_comma index_row_cut_short map_above_the_set map_with_backslash link_to_outside
    annotator_outside origin_lost origin_without_digest map_gone map_cut_short map_announces_a_bomb
    map_as_jpeg map_of_16_bits map_with_unknown_label mask_cut_short
    """
)

# Nothing was destroyed, so the copy has the bytes of the set before it was broken.
RESTORED = words(
    """
    no_split split_in_capitals split_of_ada_differs bob_is_not_listed directory_above
    directory_shared nine_images nine_segments robot session_one_and_a_half other_name_for_ada
    other_size_for_bob order_twice part_table_lost part_row_lost category_in_capitals
    category_twice category_without_labels label_number_zero label_number_as_float number_twice
    number_gap concept_misspelt concept_twice concept_lost codes_from_zero frequency_in_words
    coverage_nan coverage_with_exponent wrong_categories missing_categories wrong_label_frequency
    wrong_label_coverage wrong_concept_frequency wrong_concept_coverage wrong_count wrong_last
    row_twice size_of_another size_with_unit size_zero hole_in_cell blank_in_cell label_zero
    unknown_scene rows_out_of_order map_twice_in_cell label_twice_in_cell column_of_no_category
    column_of_bob_only photograph_named_as_map manifest_cut_short manifest_without_counts
    no_manifest no_category_table no_labels_of_bob labels_in_latin_1 empty_annotators
    category_without_first index_without_split label_row_with_comma index_row_cut_short
    annotator_row_cut_short column_scene_twice labels_saved_by_another_program sealed_file_gone
    stray_file mask_of_no_row interrupted_table interrupted_map manifest_says_nine_labels
    manifest_says_nine_segments origin_of_nothing origin_twice map_in_grey map_with_palette
    grey_map_of_16_bits map_with_alpha map_of_another_size map_with_blue map_with_unknown_label
    map_without_labels mask_in_a_cell
    """
)

# Legal, and no matter of repair: what remains is what the set says.
REMAIN = {
    *("SPL003", "ANN005", "ANN006", "ANN018", "ANN019", "ANN021"),
    *("CAT016", "CAT017", "CAT018"),
    *("IDX014", "IDX016", "LAY014", "SEG011"),
}


def broken(change, ours, path):
    small = SmallSet(ours=ours)
    change(small)
    return small.write(path)


def without_manifest(files):
    return {name: data for name, data in files.items() if name != "conceptset.json"}


@pytest.mark.parametrize(
    ("code", "change", "ours"), MUTATIONS, ids=[f"{c}-{f.__name__}" for c, f, _ in MUTATIONS]
)
def test_repaired(tmp_path, tree, code, change, ours):
    root = broken(change, ours, tmp_path / "set")
    before = tree(root)
    out = tmp_path / "new"
    if change.__name__ in REFUSED:
        with pytest.raises(LayoutError):
            repair_set(root, out, RepairOptions())
        assert not out.exists()
        return
    report = repair_set(root, out, RepairOptions())
    assert tree(root) == before
    after = validate(out)
    assert after.errors == 0, after.findings
    assert {finding.code for finding in after.findings} <= REMAIN
    assert bool(report.lost) == (change.__name__ in LOSES), report.findings
    if code not in REMAIN:
        assert report.changes or report.findings
    assert report.images == after.images
    if change.__name__ in RESTORED:
        good = SmallSet(ours=ours).write(tmp_path / "good")
        assert without_manifest(tree(out)) == without_manifest(tree(good))
    again = repair_set(out, tmp_path / "again", RepairOptions())
    assert (list(again.changes), list(again.findings)) == ([], [])
    assert tree(tmp_path / "again") == tree(out)


def test_every_name_in_the_lists_is_a_defect():
    names = {change.__name__ for _, change, _ in MUTATIONS}
    assert names >= LOSES | RESTORED | REFUSED


@pytest.mark.parametrize("ours", [True, False])
def test_a_valid_set_stays_as_it_is(tmp_path, tree, ours):
    small = SmallSet(("ada",), ours=ours)
    if ours:
        del small.names[5]
        small.count()
    root = small.write(tmp_path / "set")
    report = repair_set(root, tmp_path / "new", RepairOptions())
    assert (list(report.changes), list(report.findings)) == ([], [])
    new, old = tree(tmp_path / "new"), tree(root)
    pictures = [name for name in old if name.startswith("images/")]
    assert {name: new[name] for name in pictures} == {name: old[name] for name in pictures}
    assert new.keys() == old.keys()
    if ours:
        assert without_manifest(new) == without_manifest(old)
