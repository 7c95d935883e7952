// Keeps the page for visits without a network. Models are kept elsewhere, piece by piece.
const name = "treepie";
const kept = (url) => url.origin === location.origin && !url.pathname.endsWith(".pie");

// All of the page is fetched at the first visit: parts that it asks for later are then there, too.
self.addEventListener("install", (e) => e.waitUntil(keepPage().then(() => self.skipWaiting())));
self.addEventListener("activate", (e) => e.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (e) => {
  const url = new URL(e.request.url);
  if (e.request.method === "GET" && kept(url) && !e.request.headers.has("range")) e.respondWith(answer(e.request, url));
});

async function keepPage() {
  const parts = await (await fetch("parts.json", { cache: "no-store" })).json();
  await (await caches.open(name)).addAll(["./", ...parts]);
}
/** Files with a hash in their names never change; of the others the server's version counts while there is one. */
async function answer(request, url) {
  const cache = await caches.open(name);
  const known = await cache.match(request, { ignoreSearch: true });
  if (known && url.pathname.includes("/assets/")) return known;
  try {
    const response = await fetch(request);
    if (response.ok) await cache.put(request, response.clone());
    return response;
  } catch (error) {
    if (known) return known;
    throw error;
  }
}
