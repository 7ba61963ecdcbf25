// Rows of lists: added and removed in place. Without scripts the same buttons ask the server.
"use strict";
(() => {
  const announce = (text) => {
    document.getElementById("announce").textContent = text;
  };
  const rowsOf = (list) => [...list.querySelectorAll(":scope > .row-list > .row")];

  // Names and ids have the number of their row: `spec.devices.0.count`, `f-spec-devices-0-count`.
  function number(list, row, to) {
    const from = row.dataset.row;
    const parts = [
      [`${list.dataset.rows}.${from}`, `${list.dataset.rows}.${to}`],
      [`${list.id}-${from}`, `${list.id}-${to}`],
      [`remove:${list.dataset.rows}:${from}`, `remove:${list.dataset.rows}:${to}`],
    ];
    for (const element of [row, ...row.querySelectorAll("*")]) {
      for (const name of ["id", "name", "for", "value", "aria-describedby", "data-ref"]) {
        const value = element.getAttribute(name);
        if (value === null || (name === "value" && element.name !== "@rows")) continue;
        const words = value.split(" ").map((word) => {
          const [old, fresh] = parts.find(([start]) => word.startsWith(start) && !/^\d/.test(word.slice(start.length))) ?? ["", ""];
          return fresh + word.slice(old.length);
        });
        element.setAttribute(name, words.join(" "));
      }
    }
    row.dataset.row = String(to);
    row.setAttribute("aria-label", row.getAttribute("aria-label").replace(/\d+$/, String(to + 1)));
    row.querySelector("[data-number]").textContent = String(to + 1);
  }

  function blank(row) {
    for (const fault of row.querySelectorAll(".fault")) fault.remove();
    for (const part of row.querySelectorAll("details")) part.open = false;
    for (const kept of row.querySelectorAll(".kept")) kept.replaceChildren();
    for (const note of row.querySelectorAll(".uploaded")) note.hidden = true;
    for (const control of row.querySelectorAll("input, select, textarea")) {
      control.removeAttribute("aria-invalid");
      if (control.name.endsWith("@row")) continue;
      if (control.type === "checkbox") control.checked = false;
      else if (control.tagName === "SELECT") control.selectedIndex = 0;
      else control.value = "";
    }
  }

  const first = (row) => row.querySelector("input:not([type=hidden]), select, textarea");

  for (const list of document.querySelectorAll("[data-rows]")) {
    list.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      const rows = rowsOf(list);
      if (button?.matches("[data-add]") && rows.length) {
        event.preventDefault();
        const row = rows.at(-1).cloneNode(true);
        blank(row);
        rows.at(-1).after(row);
        number(list, row, rows.length);
        window.trimtabUploads?.(row);
        first(row).focus();
        announce(`Row ${rows.length + 1} added.`);
      } else if (button?.matches("[data-remove]") && (rows.length > 1 || !("blankCounts" in list.dataset))) {
        event.preventDefault();
        const at = rows.findIndex((row) => row.contains(button));
        if (rows.length > 1) rows[at].remove();
        else blank(rows[0]);
        rowsOf(list).forEach((row, index) => number(list, row, index));
        (rowsOf(list)[at]?.querySelector("[data-remove]") ?? list.querySelector("[data-add]")).focus();
        announce(`Row ${at + 1} removed.`);
      }
    });
  }
})();
