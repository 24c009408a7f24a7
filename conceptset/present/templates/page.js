"use strict";
// Tables whose rows can be put in order: <table data-sortable>, <th><button>, <td data-v="...">.
const sortable = (() => {
  const value = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.v ?? cell.textContent.trim();
    return text !== "" && isFinite(text) ? Number(text) : text;
  };
  const before = (a, b) => {
    if (a === "" || b === "") return null;
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), "en");
  };
  // Rows without a value stay last in either direction; equal rows keep their first order.
  const sort = (table, column, direction) => {
    const body = table.tBodies[0];
    const rows = [...body.rows].filter((row) => !row.classList.contains("detail"));
    const sign = direction === "ascending" ? 1 : -1;
    const keyed = rows.map((row) => [value(row, column), Number(row.dataset.place), row]);
    keyed.sort(([a, i], [b, j]) => {
      const found = before(a, b);
      if (found === null) return (a === "") - (b === "") || i - j;
      return found * sign || i - j;
    });
    for (const [, , row] of keyed) {
      const detail = row.nextElementSibling;
      body.append(row);
      if (detail?.classList.contains("detail")) body.append(detail);
    }
    for (const head of table.tHead.rows[0].cells) head.removeAttribute("aria-sort");
    table.tHead.rows[0].cells[column].setAttribute("aria-sort", direction);
  };
  const prepare = (table) => {
    [...table.tBodies[0].rows].forEach((row, place) => { row.dataset.place = place; });
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      head.querySelector("button")?.addEventListener("click", () => {
        const first = head.classList.contains("n") ? "descending" : "ascending";
        const other = first === "ascending" ? "descending" : "ascending";
        sort(table, column, head.getAttribute("aria-sort") === first ? other : first);
      });
    });
  };
  document.querySelectorAll("table[data-sortable]").forEach(prepare);
  return { sort };
})();
