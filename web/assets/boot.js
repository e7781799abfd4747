// Starts the app. Where that cannot work, shows on the page why, and what to do instead.
// A classic script of its own: it runs from a file too, and the content security policy needs no exception for it.
(() => {
  "use strict";

  const root = document.documentElement;
  // Before the first paint; without storage the system decides.
  try {
    const theme = localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    if (localStorage.getItem("projector")) root.dataset.projector = "";
  } catch {}

  // A lab as part of somebody's article: `?embed`, or `embed` in the fragment's query. From here on it is the former.
  const address = new URL(location.href);
  const [path, query = ""] = address.hash.split("?");
  const words = query.split("&").filter(Boolean);
  if (words.includes("embed")) {
    const rest = words.filter((word) => word !== "embed").join("&");
    address.hash = rest ? `${path}?${rest}` : path;
    if (!address.searchParams.has("embed")) address.search += address.search ? "&embed" : "?embed";
    if (location.protocol !== "file:") history.replaceState(null, "", address.href);
  }
  if (address.searchParams.has("embed")) root.dataset.embed = "";

  const show = (id) => {
    for (const part of document.querySelectorAll("#boot > *")) part.hidden = part.id !== id;
  };

  if (location.protocol === "file:") {
    const folder = decodeURIComponent(location.pathname).replace(/\/[^/]*$/, "");
    document.getElementById("boot-command").textContent = `python3 -m http.server -d '${folder}'`;
    show("boot-file");
    return;
  }
  // Not from a file: a browser refuses it there, and says so on the console.
  const manifest = document.createElement("link");
  manifest.rel = "manifest";
  manifest.href = "./manifest.webmanifest";
  document.head.append(manifest);

  if (typeof WebAssembly !== "object") {
    show("boot-old");
    return;
  }

  // The site is kept for when there is no network. Nothing depends on it: where it cannot be, all else is as it was.
  const keep = async () => {
    if (!("serviceWorker" in navigator) || "embed" in root.dataset) return;
    const sw = navigator.serviceWorker;
    const registration = await sw.register(file("sw.js"), { updateViaCache: "none" });
    const tell = (worker) => {
      // With nobody in charge it is the first one, and there is nothing older to replace.
      if (!worker || !sw.controller || document.getElementById("update")) return;
      const note = document.createElement("div");
      note.id = "update";
      note.setAttribute("role", "status");
      const button = document.createElement("button");
      button.className = "btn";
      button.textContent = "Reload";
      button.addEventListener("click", () => {
        sw.addEventListener("controllerchange", () => location.reload(), { once: true });
        (registration.waiting ?? worker).postMessage("go");
      });
      note.append("A new version is there. ", button);
      document.body.append(note);
    };
    tell(registration.waiting);
    registration.addEventListener("updatefound", () => {
      const worker = registration.installing;
      worker?.addEventListener("statechange", () => worker.state === "installed" && tell(worker));
    });
  };

  const app = document.querySelector('meta[name="app"]');
  const file = (path) => new URL(path, document.baseURI).href;
  // Both at once. Whoever waits for the second is told if it does not come.
  const wasm = fetch(file(app.dataset.wasm));
  wasm.catch(() => {});
  import(file(app.content))
    .then((module) => module.default({ module_or_path: wasm }))
    .then(() => {
      document.getElementById("boot").remove();
      // Later: the visitor comes first.
      const idle = window.requestIdleCallback ?? setTimeout;
      idle(() => keep().catch((error) => console.info(`not kept for offline: ${error}`)));
    })
    .catch((error) => {
      console.error(error);
      document.getElementById("boot-error").textContent = String(error);
      show(self.origin === "null" ? "boot-frame" : "boot-failed");
    });
})();
