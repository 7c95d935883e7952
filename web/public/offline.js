// Keeps the page for visits without a network. Models are kept elsewhere, piece by piece.
const name = "treepie";
const kept = (url) => url.origin === location.origin && !url.pathname.endsWith(".pie");

// All of the page is fetched at the first visit, and at later ones what a new version has: parts that it asks for later are then there, too.
self.addEventListener("install", (e) => e.waitUntil(keepPage().then(() => self.skipWaiting())));
self.addEventListener("message", (e) => e.waitUntil(keepPage().catch(() => {})));
self.addEventListener("activate", (e) => e.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (e) => {
  const url = new URL(e.request.url);
  if (e.request.method === "GET" && kept(url) && !e.request.headers.has("range")) e.respondWith(answer(e.request, url));
});

async function keepPage() {
  const wanted = ["./", ...(await (await fetch("parts.json", { cache: "no-store" })).json())].map(
    (part) => new URL(part, location.href).href,
  );
  const cache = await caches.open(name);
  const known = (await cache.keys()).map((request) => request.url);
  await cache.addAll(wanted.filter((url) => !known.includes(url)));
  // What an earlier version had goes, unless it may be open in another tab.
  if ((await self.clients.matchAll({ includeUncontrolled: true })).length > 1) return;
  for (const url of known) if (url.includes("/assets/") && !wanted.includes(url)) await cache.delete(url);
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
