// Starts the app. Where that cannot work, shows on the page why, and what to do instead.
// A classic script of its own: it runs from a file too, and the content security policy needs no exception for it.
(() => {
  "use strict";

  // Before the first paint; without storage the system decides.
  try {
    const theme = localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {}

  const show = (id) => {
    for (const part of document.querySelectorAll("#boot > *")) part.hidden = part.id !== id;
  };

  if (location.protocol === "file:") {
    const folder = decodeURIComponent(location.pathname).replace(/\/[^/]*$/, "");
    document.getElementById("boot-command").textContent = `python3 -m http.server -d '${folder}'`;
    show("boot-file");
    return;
  }
  if (typeof WebAssembly !== "object") {
    show("boot-old");
    return;
  }

  const app = document.querySelector('meta[name="app"]');
  const address = (path) => new URL(path, document.baseURI).href;
  import(address(app.content))
    .then((module) => module.default({ module_or_path: address(app.dataset.wasm) }))
    .then(() => document.getElementById("boot").remove())
    .catch((error) => {
      console.error(error);
      document.getElementById("boot-error").textContent = String(error);
      show("boot-failed");
    });
})();
