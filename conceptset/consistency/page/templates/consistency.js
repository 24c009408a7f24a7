// One label layer at a time; without this script all are shown, one after the other.
(() => {
  const sections = [...document.querySelectorAll("section.layer")];
  const tabs = [...document.querySelectorAll(".tabs a")];
  const show = () => {
    let id = location.hash.slice(1);
    try { id = decodeURIComponent(id); } catch { /* not an address of ours */ }
    const target = id === "" ? null : document.getElementById(id);
    const inside = target?.closest("section.layer");
    const current = inside ?? sections.find((section) => !section.hidden) ?? sections[0];
    for (const section of sections) section.hidden = section !== current;
    for (const tab of tabs) {
      if (current && tab.hash === `#${current.id}`) tab.setAttribute("aria-current", "true");
      else tab.removeAttribute("aria-current");
    }
    if (inside && target !== current) target.scrollIntoView();
    else if (inside && tabs.length) tabs[0].parentElement.scrollIntoView();
  };
  addEventListener("hashchange", show);
  if (sections.length) show();
  document.documentElement.dataset.ready = "true";
})();
