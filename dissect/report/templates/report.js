// One layer at a time; its units filtered by concept, category and kind; images on demand.
(() => {
  const sections = [...document.querySelectorAll("section.layer")];
  const tabs = [...document.querySelectorAll(".tabs a")];

  const detailOf = (row) => {
    const next = row.nextElementSibling;
    return next?.classList.contains("detail") ? next : null;
  };
  const toggle = (row, open) => {
    const button = row.querySelector("button.open");
    if (!button || (detailOf(row) !== null) === open) return;
    button.setAttribute("aria-expanded", String(open));
    if (!open) { detailOf(row).remove(); return; }
    const detail = document.createElement("tr");
    const cell = detail.insertCell();
    const image = document.createElement("img");
    detail.className = "detail";
    cell.colSpan = row.cells.length;
    image.className = `w${row.dataset.width}`;
    image.loading = "lazy";
    image.width = Number(row.dataset.width);
    image.height = Number(row.dataset.height);
    image.alt = button.getAttribute("aria-label");
    image.src = row.dataset.strip;
    cell.append(image);
    row.after(detail);
  };

  const rowsOf = (section) =>
    [...section.querySelectorAll("table.units tbody tr:not(.detail)")];
  // "car" in quotation marks asks for the whole name.
  const matcher = (text) => {
    const query = text.trim().toLowerCase();
    const whole = /^"(.+)"$/.exec(query);
    return (name) => (whole ? name.toLowerCase() === whole[1] : name.toLowerCase().includes(query));
  };
  const filter = (section) => {
    const form = section.querySelector("form");
    const { concept, category, detectors, runners, dependent, images } = form.elements;
    const matches = matcher(concept.value);
    const wanted = (row) => {
      if (detectors.checked && !row.classList.contains("detector")) return false;
      if (dependent?.checked && row.dataset.dependent === undefined) return false;
      if (category.value && row.cells[2].textContent !== category.value) return false;
      if (!concept.value.trim()) return true;
      const names = [...row.querySelectorAll(runners.checked ? "bdi" : ".concept bdi")];
      return names.some((name) => matches(name.title || name.textContent));
    };
    const rows = rowsOf(section);
    let shown = 0;
    for (const row of rows) {
      row.hidden = !wanted(row);
      shown += row.hidden ? 0 : 1;
      if (row.hidden) toggle(row, false);
      else if (images.checked) toggle(row, true);
    }
    const all = rows.length.toLocaleString("en").replaceAll(",", "\u202f");
    form.querySelector("output").value =
      shown === rows.length ? `${all} units` : `${shown.toLocaleString("en").replaceAll(",", "\u202f")} of ${all} units`;
  };

  for (const section of sections) {
    const form = section.querySelector("form");
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", (event) => {
      if (event.target.name === "images" && !event.target.checked) {
        rowsOf(section).forEach((row) => toggle(row, false));
      }
      filter(section);
    });
    section.querySelector("table.units").addEventListener("click", (event) => {
      const button = event.target.closest("button.open");
      if (button) toggle(button.closest("tr"), button.getAttribute("aria-expanded") !== "true");
    });
    for (const link of section.querySelectorAll(".charts a")) {
      link.addEventListener("click", () => {
        const { concept, category, detectors, runners } = form.elements;
        concept.value = link.dataset.concept === undefined ? "" : `"${link.dataset.concept}"`;
        category.value = link.dataset.category ?? "";
        detectors.checked = true;
        runners.checked = false;
        filter(section);
      });
    }
    filter(section); // a browser may have kept what was typed before a reload
  }

  const show = () => {
    let id = location.hash.slice(1);
    try { id = decodeURIComponent(id); } catch { /* not an address of ours */ }
    const target = document.getElementById(id);
    const current = target?.closest("section.layer") ?? sections[0];
    for (const section of sections) section.hidden = section !== current;
    for (const tab of tabs) {
      if (tab.hash === `#${current.id}`) tab.setAttribute("aria-current", "true");
      else tab.removeAttribute("aria-current");
    }
    const fold = target?.closest("details");
    if (fold) fold.open = true;
    if (target?.matches("tbody tr")) toggle(target, true);
    if (target && target !== current) target.scrollIntoView();
    else if (target && tabs.length) tabs[0].parentElement.scrollIntoView();
  };
  addEventListener("hashchange", show);
  show();
  document.documentElement.dataset.ready = "true";
})();
