"use strict";

// A click on a heading sorts by it, a second click the other way round; cells without a number stay last.
function sortKey(row, column) {
  const cell = row.cells[column];
  const data = cell.querySelector("data");
  if (data) return Number(data.value);
  return cell.tagName === "TH" ? cell.textContent : null;
}

function compare(a, b) {
  return typeof a === "number" ? a - b : a.localeCompare(b, undefined, {numeric: true});
}

for (const table of document.querySelectorAll("table.sortable")) {
  for (const heading of table.querySelectorAll("th[data-column]")) {
    heading.querySelector("button").addEventListener("click", () => {
      const sign = heading.getAttribute("aria-sort") === "descending" ? 1 : -1;
      for (const each of table.querySelectorAll("[aria-sort]")) each.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
      const body = table.tBodies[0];
      const rows = [...body.rows].map((row) => [sortKey(row, heading.dataset.column), row]);
      rows.sort(([a], [b]) => a === null ? (b === null ? 0 : 1) : b === null ? -1 : sign * compare(a, b));
      body.append(...rows.map(([, row]) => row));
    });
  }
}

// On paper nothing can be unfolded.
let folded = [];
window.addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  for (const each of folded) each.open = true;
});
window.addEventListener("afterprint", () => {
  for (const each of folded) each.open = false;
});
