"use strict";
// Finds tables by their name, meaning and columns; the columns that fit are shown, the rest folded.
(() => {
  const find = document.getElementById("find");
  const count = document.getElementById("count");
  const groups = [...document.querySelectorAll("[data-group]")].map((section) => ({
    section,
    entries: [...section.querySelectorAll("[data-entry]")].map((entry) => ({
      entry,
      text: entry.textContent.toLowerCase(),
      head: (entry.querySelector("summary") || entry).textContent.toLowerCase(),
      rows: [...entry.querySelectorAll("tbody tr")].map((row) => ({ row, text: row.textContent.toLowerCase() })),
    })),
  }));

  function refresh() {
    const wanted = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (text) => wanted.every((part) => text.includes(part));
    let tables = 0;
    for (const { section, entries } of groups) {
      let found = 0;
      for (const { entry, text, head, rows } of entries) {
        const isFound = fits(text);
        entry.hidden = !isFound;
        if (!isFound) continue;
        found += 1;
        if (entry.tagName !== "DETAILS") continue;
        tables += 1;
        const inRows = rows.filter((one) => fits(one.text));
        const narrowed = wanted.length > 0 && inRows.length > 0 && !fits(head);
        for (const one of rows) one.row.hidden = narrowed && !inRows.includes(one);
        entry.open = narrowed;
      }
      section.hidden = found === 0;
    }
    count.textContent = `${tables} table${tables === 1 ? "" : "s"}`;
  }

  function openFromAddress() {
    const entry = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!entry || entry.tagName !== "DETAILS") return;
    find.value = "";
    refresh();
    entry.open = true;
    entry.scrollIntoView();
  }

  find.addEventListener("input", refresh);
  document.querySelector(".filter").addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", openFromAddress);
  openFromAddress();
  document.documentElement.dataset.ready = "yes";
})();
