// cuDNN's backend: descriptors that keep what is set, and graphs of products, pointwise operations, reductions and turned views as plain
// loops. A plan is text, and runs from it. It wants a workspace, which it writes to.
#include <map>
#include <sstream>
struct Descriptor { int kind; std::map<int, std::vector<char>> set; std::string text; bool done; };
static std::map<int, size_t> cudnn_bytes = {{0, 8}, {1, 4}, {2, 1}, {3, 8}, {6, 8}, {8, 4}, {14, 4}, {15, 8}, {18, 4}, {24, 1}};
static const char* cudnn_why = "";
static R refuse(const char* why) { cudnn_why = why; return 2000; }
template <class T> static T attribute(Descriptor* d, int name, T otherwise = T(), size_t i = 0) {
  auto at = d->set.find(name);
  if (at == d->set.end()) return otherwise;
  T x;
  memcpy(&x, at->second.data() + i * sizeof x, sizeof x);
  return x;
}
static size_t attributes(Descriptor* d, int name, size_t each) { return d->set.count(name) ? d->set[name].size() / each : 0; }
static const char* tensor_text(Descriptor* t, std::string& all) {
  std::ostringstream s;
  s << "T " << attribute<int64_t>(t, 906) << ' ' << attribute<int>(t, 901) << ' ' << (int)attribute<char>(t, 907) << ' ' << (int)attribute<char>(t, 908);
  for (int name : {902, 903}) for (int i = 0; i < 4; i++) s << ' ' << attribute<int64_t>(t, name, 0, i);
  s << '\n';
  if (all.find(s.str()) == std::string::npos) all += s.str();
  return "";
}
/** Operations by the attributes of their operands: what is read, and what is written. */
static std::string graph_text(Descriptor* g) {
  std::string tensors;
  std::ostringstream s;
  for (size_t i = 0; i < attributes(g, 801, 8); i++) {
    Descriptor* o = (Descriptor*)attribute<P>(g, 801, 0, i);
    std::vector<int> names = o->kind == 13 ? std::vector<int>{753, 751, 752, 758} : o->kind == 19 ? std::vector<int>{1522, 1520, 1521} : o->kind == 22 ? std::vector<int>{1611, 1610} : std::vector<int>{2201, 2200};
    Descriptor* how = (Descriptor*)attribute<P>(o, o->kind == 13 ? 750 : o->kind == 22 ? 1612 : 0);
    s << "O " << o->kind << ' ' << (how ? attribute<int>(how, o->kind == 13 ? 0 : 1600) : 0) << ' ' << (how ? attribute<int64_t>(how, 9) : 0);
    for (int name : names) {
      Descriptor* t = (Descriptor*)attribute<P>(o, name);
      if (t) tensor_text(t, tensors);
      s << ' ' << (t ? attribute<int64_t>(t, 906) : 0);
    }
    for (size_t n = names.size(); n < 4; n++) s << " 0";
    s << '\n';
  }
  return tensors + s.str();
}
struct Tensor { int type, is_virtual, by_value; int64_t shape[4], strides[4]; std::vector<float> x; };
static int64_t dense(const Tensor& t, const int64_t* at) {
  int64_t i = 0;
  for (int d = 0; d < 4; d++) i = i * t.shape[d] + (t.shape[d] == 1 ? 0 : at[d]);
  return i;
}
template <class F> static void each(const int64_t* shape, F f) {
  int64_t at[4];
  for (at[0] = 0; at[0] < shape[0]; at[0]++) for (at[1] = 0; at[1] < shape[1]; at[1]++)
    for (at[2] = 0; at[2] < shape[2]; at[2]++) for (at[3] = 0; at[3] < shape[3]; at[3]++) f(at);
}
static int lt_type(int type) { return type == 9 ? 14 : type; }
static int64_t place(const Tensor& t, const int64_t* at) { int64_t i = 0; for (int d = 0; d < 4; d++) i += at[d] * t.strides[d]; return i; }
static void run_operation(std::map<int64_t, Tensor>& all, int kind, int mode, int axis, Tensor& to, Tensor* x, Tensor* y, Tensor* mask) {
  to.x.assign(to.shape[0] * to.shape[1] * to.shape[2] * to.shape[3], kind == 22 && mode == 3 ? -INFINITY : 0);
  if (kind == 13) each(to.shape, [&](const int64_t* at) {
    const float a = mode == 501 ? at[axis] : x->x[dense(*x, at)], b = y ? y->x[dense(*y, at)] : 0;
    to.x[dense(to, at)] = mode == 0 ? a + b : mode == 1 ? a * b : mode == 6 ? a / b : mode == 9 ? a - b : mode == 13 ? expf(a) : mode == 15 ? logf(a) : mode == 303 ? a >= b : mode == 601 ? (mask->x[dense(*mask, at)] ? a : b) : a;
  });
  else if (kind == 19) each(to.shape, [&](const int64_t* at) {
    float s = 0;
    for (int64_t k = 0; k < x->shape[3]; k++) {
      const int64_t left[4] = {at[0], at[1] * x->shape[1] / to.shape[1], at[2], k}, right[4] = {at[0], at[1] * y->shape[1] / to.shape[1], k, at[3]};
      s += x->x[dense(*x, left)] * y->x[dense(*y, right)];
    }
    to.x[dense(to, at)] = s;
  });
  else each(x->shape, [&](const int64_t* at) {
    int64_t into[4];
    if (kind == 22) for (int d = 0; d < 4; d++) into[d] = at[d] * to.shape[d] / x->shape[d];
    else into[0] = at[0], into[1] = at[1], into[2] = at[3], into[3] = at[2];
    float& s = to.x[dense(to, into)];
    const float v = x->x[dense(*x, at)];
    s = kind == 31 ? v : mode == 3 ? fmaxf(s, v) : s + v;
  });
  // What lies in no memory is rounded all the same.
  if (to.type == 2 || to.type == 9) for (float& v : to.x) { uint16_t narrow; set_element((D)&narrow, lt_type(to.type), 0, v); v = element((D)&narrow, lt_type(to.type), 0); }
}
static void run_plan(const std::string& text, const std::map<int64_t, D>& places, const std::map<int64_t, float>& values) {
  std::istringstream s(text);
  std::map<int64_t, Tensor> all;
  char what;
  while (s >> what) {
    if (what == 'T') {
      int64_t id;
      Tensor t;
      s >> id >> t.type >> t.is_virtual >> t.by_value;
      for (int64_t* to : {t.shape, t.strides}) for (int i = 0; i < 4; i++) s >> to[i];
      if (t.by_value) t.x = {values.at(id)};
      else if (!t.is_virtual) {
        t.x.resize(t.shape[0] * t.shape[1] * t.shape[2] * t.shape[3]);
        each(t.shape, [&](const int64_t* at) { t.x[dense(t, at)] = element(places.at(id), lt_type(t.type), place(t, at)); });
      }
      all[id] = t;
      continue;
    }
    int kind, mode, axis;
    int64_t id[4];
    s >> kind >> mode >> axis >> id[0] >> id[1] >> id[2] >> id[3];
    Tensor& to = all[id[0]];
    auto of = [&](int i) { return id[i] ? &all[id[i]] : 0; };
    run_operation(all, kind, mode, axis, to, of(1), of(2), of(3));
    if (!to.is_virtual) each(to.shape, [&](const int64_t* at) { set_element(places.at(id[0]), lt_type(to.type), place(to, at), to.x[dense(to, at)]); });
  }
}
static const int cudnn_workspace = 1000;
api size_t cudnnGetVersion() { return getenv("FAKE_CUDNN_VERSION") ? atoi(getenv("FAKE_CUDNN_VERSION")) : 91900; }
api void cudnnGetLastErrorString(char* s, size_t n) { snprintf(s, n, "%s", cudnn_why); }
api R cudnnCreate(P* h) { *h = malloc(8); return 0; }
api R cudnnDestroy(P h) { free(h); return 0; }
api R cudnnSetStream(P, P) { return 0; }
api R cudnnBackendCreateDescriptor(int kind, P* d) { *d = new Descriptor{kind, {}, "", false}; return 0; }
api R cudnnBackendDestroyDescriptor(P d) { delete (Descriptor*)d; return 0; }
api R cudnnBackendSetAttribute(P d, int name, int type, int64_t n, const void* v) {
  Descriptor* x = (Descriptor*)d;
  if (x->done || !cudnn_bytes.count(type) || n < 1) return refuse("an attribute cannot be set");
  x->set[name].assign((const char*)v, (const char*)v + n * cudnn_bytes[type]);
  return 0;
}
api R cudnnBackendFinalize(P d) {
  Descriptor* x = (Descriptor*)d;
  for (const int name : {750, 751, 752, 753, 758, 801, 1520, 1521, 1522, 1523, 1610, 1611, 1612, 2200, 2201, 201, 401})
    for (size_t i = 0; i < attributes(x, name, 8); i++) if (!((Descriptor*)attribute<P>(x, name, 0, i))->done) return refuse("a part is not finished");
  if (x->kind == 15) x->text = graph_text(x);
  if (x->kind == 4) x->text = ((Descriptor*)attribute<P>(x, 201))->text;
  if (x->kind == 5) x->text = attributes(x, 405, 1) ? std::string(x->set[405].data(), x->set[405].size()) : ((Descriptor*)attribute<P>(x, 401))->text;
  x->done = true;
  return 0;
}
api R cudnnBackendGetAttribute(P d, int name, int type, int64_t n, int64_t* count, void* v) {
  Descriptor* x = (Descriptor*)d;
  if (!x->done) return refuse("it is not finished");
  if (x->kind == 4 && name == 202) {
    if (getenv("FAKE_CUDNN_REFUSES")) { *count = 0; return 0; }
    Descriptor* engine = *(Descriptor**)v;
    engine->text = x->text;
    engine->done = true;
    *count = 1;
    return 0;
  }
  if (x->kind == 5 && name == 402) { *(int64_t*)v = cudnn_workspace; *count = 1; return 0; }
  if (x->kind == 5 && name == 405) { *count = x->text.size(); if (v) memcpy(v, x->text.data(), n < *count ? n : *count); return 0; }
  return refuse("there is no such attribute");
}
api R cudnnBackendExecute(P, P plan, P pack) {
  Descriptor *p = (Descriptor*)plan, *k = (Descriptor*)pack;
  if (!p->done || !k->done) return refuse("it is not finished");
  const std::string text = p->text;
  std::map<int64_t, D> places;
  std::map<int64_t, float> values;
  for (size_t i = 0; i < attributes(k, 1000, 8); i++) places[attribute<int64_t>(k, 1000, 0, i)] = attribute<D>(k, 1001, 0, i);
  std::istringstream s(text);
  std::string line;
  while (std::getline(s, line)) {
    std::istringstream words(line);
    char what;
    int64_t id, type, is_virtual, by_value;
    words >> what >> id >> type >> is_virtual >> by_value;
    if (what != 'T') continue;
    if (!is_virtual && !places.count(id)) return refuse("a tensor has no address");
    // Numbers of the host are read now, whenever the work runs.
    if (by_value) values[id] = *(float*)places[id];
  }
  const D workspace = attribute<D>(k, 1003);
  auto run = [=] { memset((P)workspace, 1, cudnn_workspace); run_plan(text, places, values); };
  if (!recording) { run(); return 0; }
  Kept* kept = new Kept();
  kept->calls.push_back(run);
  recording->nodes.push_back(kept);
  return 0;
}
