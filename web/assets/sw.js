// Keeps the whole site, so that it works without a network after the first visit. The build fills in the list below
// (xtask/src/offline.rs). Without a list, as while somebody works on the page, it takes itself away again.
//
// A build is kept as a whole or not at all: each file must have the digest that the list names. Files other than the page
// have names that change with their content, so files of two builds are never mixed. A new build waits until the page
// is told to go over to it, or until no page is open any more.
"use strict";

const FILES = {};

const PREFIX = `netfilter-lab ${new URL("./", location.href).pathname} `;
const DIGEST = FILES["./"] ?? "";
const CACHE = PREFIX + DIGEST;

addEventListener("install", (event) => {
  if (!DIGEST) {
    skipWaiting();
    return;
  }
  const requests = Object.entries(FILES).map(([file, integrity]) => {
    // The page has the same name in every build: what the browser remembers of it may be an older one.
    const cache = file === "./" ? "reload" : "default";
    return new Request(file, { integrity, cache });
  });
  event.waitUntil(
    caches
      .open(CACHE)
      .then((cache) => cache.addAll(requests))
      // Half a build is none.
      .catch((error) => caches.delete(CACHE).then(() => Promise.reject(error))),
  );
});

addEventListener("activate", (event) => {
  const old = (name) => name.startsWith(PREFIX) && name !== CACHE;
  event.waitUntil(
    caches
      .keys()
      .then((names) => {
        const others = names.filter(old);
        // Another tab may still show the build before.
        return Promise.all((DIGEST ? others.slice(0, -1) : others).map((name) => caches.delete(name)));
      })
      .then(() => (DIGEST ? clients.claim() : registration.unregister())),
  );
});

addEventListener("message", ({ data }) => {
  if (data === "go") skipWaiting();
});

addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (!DIGEST || request.method !== "GET" || url.origin !== location.origin) return;
  const scope = new URL(registration.scope).pathname;
  if (!url.pathname.startsWith(scope)) return;
  const file = url.pathname.slice(scope.length);
  const page = file === "" || file === "index.html";
  if (page) {
    event.respondWith(kept(caches.open(CACHE), "./", request));
  } else if (file !== "sw.js") {
    // By name, in whatever build it is.
    event.respondWith(kept(Promise.resolve(caches), scope + file, request));
  }
});

// What is kept under a name, or else what the server has.
async function kept(where, name, request) {
  const found = await (await where).match(name, { ignoreSearch: true });
  return found ?? fetch(request);
}
