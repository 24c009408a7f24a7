// One layer at a time.
(() => {
  const sections = [...document.querySelectorAll("section.layer")];
  const tabs = [...document.querySelectorAll(".tabs a")];
  const show = () => {
    let id = location.hash.slice(1);
    try { id = decodeURIComponent(id); } catch { /* not an address of ours */ }
    const target = document.getElementById(id);
    const current = target?.closest("section.layer") ?? sections[0];
    if (!current) return;
    for (const section of sections) section.hidden = section !== current;
    for (const tab of tabs) {
      if (tab.hash === `#${current.id}`) tab.setAttribute("aria-current", "true");
      else tab.removeAttribute("aria-current");
    }
    const fold = target?.closest("details");
    if (fold) fold.open = true;
    if (target && target !== current) target.scrollIntoView();
    else if (target && tabs.length) tabs[0].parentElement.scrollIntoView();
  };
  addEventListener("hashchange", show);
  show();
  document.documentElement.dataset.ready = "true";
})();
