// A click on a column's head sorts the table by it; another click turns the order round. The number
// at a cell's begin decides, or the text where a cell of the column begins with none. Tables whose
// rows belong together (a cell spans several) are left alone.
document.querySelectorAll("table thead").forEach((head) => {
  const body = head.parentElement.tBodies[0];
  if (!body || body.querySelector("[rowspan]")) return;
  [...head.rows[head.rows.length - 1].cells].forEach((cell, column) => {
    const sort = () => {
      const order = cell.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      const rows = [...body.rows].filter((row) => row.cells.length > column);
      const text = (row) => row.cells[column].textContent.trim();
      const number = (row) => parseFloat(text(row).replace("−", "-").replaceAll(",", ""));
      const numeric = rows.every((row) => text(row) === "" || !isNaN(number(row)));
      const empty = (row) => (text(row) === "" ? 1 : 0);
      rows.sort((a, b) => empty(a) - empty(b) || order *
        (numeric ? number(a) - number(b) : text(a).localeCompare(text(b))));
      body.append(...rows);
      [...head.querySelectorAll("[aria-sort]")].forEach((other) => other.removeAttribute("aria-sort"));
      cell.setAttribute("aria-sort", order > 0 ? "ascending" : "descending");
    };
    cell.tabIndex = 0;
    cell.title = "Sort by this column";
    cell.addEventListener("click", sort);
    cell.addEventListener("keydown", (event) => {
      if (event.key === "Enter") sort();
    });
  });
});
