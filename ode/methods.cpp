#include "ode/methods.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/nearest.h"
#include "ode/adams.h"
#include "ode/families.h"
#include "ode/implicit_methods.h"
#include "ode/number_text.h"
#include "ode/reversible.h"
#include "ode/symplectic.h"

namespace slope::ode {
namespace {

// clang-format off
const TableauText kMethods[] = {
// Euler 1768.
{"euler", 1, 0, false, R"(
  0 |
  b | 1
)"},
// Runge 1895; b^ is Euler's method, here and in the next two.
{"midpoint", 2, 1, false, R"(
  0   |
  1/2 | 1/2
  b   | 0 1
  b^  | 1 0
)"},
// Heun 1900: the explicit trapezoidal rule.
{"heun2", 2, 1, false, R"(
  0  |
  1  | 1
  b  | 1/2 1/2
  b^ | 1 0
)"},
// Ralston 1962: the smallest error constant of all two-stage methods.
{"ralston2", 2, 1, false, R"(
  0   |
  2/3 | 2/3
  b   | 1/4 3/4
  b^  | 1 0
)"},
// Heun 1900.
{"heun3", 3, 0, false, R"(
  0   |
  1/3 | 1/3
  2/3 | 0 2/3
  b   | 1/4 0 3/4
)"},
// Kutta 1901.
{"kutta3", 3, 0, false, R"(
  0   |
  1/2 | 1/2
  1   | -1 2
  b   | 1/6 2/3 1/6
)"},
// Ralston 1962.
{"ralston3", 3, 0, false, R"(
  0   |
  1/2 | 1/2
  3/4 | 0 3/4
  b   | 2/9 1/3 4/9
)"},
// Shu and Osher 1988: strong stability preserving.
{"ssprk3", 3, 0, false, R"(
  0   |
  1   | 1
  1/2 | 1/4 1/4
  b   | 1/6 1/6 2/3
)"},
// Kutta 1901: "the" Runge-Kutta method.
{"rk4", 4, 0, false, R"(
  0   |
  1/2 | 1/2
  1/2 | 0 1/2
  1   | 0 0 1
  b   | 1/6 1/3 1/3 1/6
)"},
// Kutta 1901: the 3/8 rule, which torchdiffeq calls rk4.
{"rk38", 4, 0, false, R"(
  0   |
  1/3 | 1/3
  2/3 | -1/3 1
  1   | 1 -1 1
  b   | 1/8 3/8 3/8 1/8
)"},
// Gill 1951, with r = sqrt(2): (r - 1)/2, (2 - r)/2, -r/2, 1 + r/2, (2 - r)/6, (2 + r)/6.
{"rkgill", 4, 0, false, R"(
  0   |
  1/2 | 1/2
  1/2 | 0.20710678118654752440 0.29289321881345247560
  1   | 0 -0.70710678118654752440 1.70710678118654752440
  b   | 1/6 0.097631072937817491867 0.56903559372884917480 1/6
)"},
// Bogacki and Shampine, Appl. Math. Lett. 2 (1989).
{"bosh3", 3, 2, true, R"(
  0   |
  1/2 | 1/2
  3/4 | 0 3/4
  1   | 2/9 1/3 4/9
  b   | 2/9 1/3 4/9 0
  b^  | 7/24 1/4 1/3 1/8
)"},
// Fehlberg 1969, RK1(2), carrying the result of order 2.
{"fehlberg2", 2, 1, true, R"(
  0   |
  1/2 | 1/2
  1   | 1/256 255/256
  b   | 1/512 255/256 1/512
  b^  | 1/256 255/256 0
)"},
// Fehlberg, NASA TR R-315 (1969), carrying the result of order 5.
{"fehlberg45", 5, 4, true, R"(
  0     |
  1/4   | 1/4
  3/8   | 3/32 9/32
  12/13 | 1932/2197 -7200/2197 7296/2197
  1     | 439/216 -8 3680/513 -845/4104
  1/2   | -8/27 2 -3544/2565 1859/4104 -11/40
  b     | 16/135 0 6656/12825 28561/56430 -9/50 2/55
  b^    | 25/216 0 1408/2565 2197/4104 -1/5 0
)"},
// Cash and Karp, ACM Trans. Math. Softw. 16 (1990).
{"cash-karp", 5, 4, true, R"(
  0    |
  1/5  | 1/5
  3/10 | 3/40 9/40
  3/5  | 3/10 -9/10 6/5
  1    | -11/54 5/2 -70/27 35/27
  7/8  | 1631/55296 175/512 575/13824 44275/110592 253/4096
  b    | 37/378 0 250/621 125/594 0 512/1771
  b^   | 2825/27648 0 18575/48384 13525/55296 277/14336 1/4
)"},
// Dormand and Prince, J. Comput. Appl. Math. 6 (1980); b^ and the weights of the middle are those
// of Shampine, Math. Comp. 46 (1986), which torchdiffeq uses too: step counts are comparable.
{"dopri5", 5, 4, true, R"(
  0    |
  1/5  | 1/5
  3/10 | 3/40 9/40
  4/5  | 44/45 -56/15 32/9
  8/9  | 19372/6561 -25360/2187 64448/6561 -212/729
  1    | 9017/3168 -355/33 46732/5247 49/176 -5103/18656
  1    | 35/384 0 500/1113 125/192 -2187/6784 11/84
  b    | 35/384 0 500/1113 125/192 -2187/6784 11/84 0
  b^   | 1951/21600 0 22642/50085 451/720 -12231/42400 649/6300 1/60
  mid  | 6025192743/60171106304 0 51252292925/130801643196 -2691868925/90256659456 187940372067/3189068634112 -1776094331/39487288512 11237099/470086768
)"},
// Tsitouras, Comput. Math. Appl. 62 (2011). The paper prints b - b^ under the name of b^, and its
// last entry with the wrong sign; `e` is what satisfies the conditions of order 4. The weights of
// the middle are the paper's interpolant at 1/2.
{"tsit5", 5, 4, true, R"(
  0                  |
  0.161              | 0.161
  0.327              | -0.008480655492356989 0.335480655492357
  0.9                | 2.8971530571054935 -6.359448489975075 4.3622954328695815
  0.9800255409045097 | 5.325864828439257 -11.748883564062828 7.4955393428898365 -0.09249506636175525
  1                  | 5.86145544294642 -12.92096931784711 8.159367898576159 -0.071584973281401 -0.028269050394068383
  1                  | 0.09646076681806523 0.01 0.4798896504144996 1.379008574103742 -3.290069515436081 2.324710524099774
  b                  | 0.09646076681806523 0.01 0.4798896504144996 1.379008574103742 -3.290069515436081 2.324710524099774 0
  e                  | -0.00178001105222577714 -0.0008164344596567469 0.007880878010261995 -0.1447110071732629 0.5823571654525552 -0.45808210592918697 1/66
  mid                | 0.10741235230096875228 0.01135625 0.39560903056045308985 -0.34475214352593546616 1.3161853649581647373 -1.0170608542936511195 1/32
)"},
// Verner's "most efficient" 6(5) pair with nine stages, from his collection of coefficients:
// www.sfu.ca/~jverner, RKV65.IIIXb.Efficient (2008). The weights of the middle are our own:
// scripts/dense_weights.py.
{"verner6", 6, 5, true, R"(
  0           |
  0.06        | 0.06
  0.2878/3    | 0.01923996296296296296 0.07669337037037037037
  0.1439      | 0.035975 0 0.107925
  0.4973      | 1.318683415233148260920 0 -5.042058063628562225428 4.220674648395413964508
  0.9725      | -41.87259166432751461804 0 159.4325621631374917700 -122.1192135650100309203 5.531743066200053768253
  0.9995      | -54.43015693531650433251 0 207.0672513650184644274 -158.6108137845899991829 6.991816585950242321993 -0.01859723106220323397765
  1           | -54.66374178728197680241 0 207.9528062553893734516 -159.2889574744995071509 7.018743740796944434698 -0.01833878590504572306473 -0.0005119484997882099077876
  1           | 0.03438957868357036009279 0 0 0.2582624555633503404659 0.4209371189673537150643 4.405396469669310170149 -176.4831190242986576152 172.3641334014150730294
  b           | 0.03438957868357036009279 0 0 0.2582624555633503404659 0.4209371189673537150643 4.405396469669310170149 -176.4831190242986576152 172.3641334014150730294 0
  b^          | 0.04909967648382489730907 0 0 0.2251112229516524153401 0.4694682253029562039432 0.8065792249988867707634 0 -0.6071194891777959797673 0.05686113944047569241148
  mid         | 0.0054954070310898376658 0 0 0.33016763123136729721 0.17073437140870734849 1.4042988973149158085 -75.196608623161557463 73.803713371153747213 -0.017801054978270074093
)"},
// Prince and Dormand, J. Comput. Appl. Math. 7 (1981), RK8(7)13M, with f(t1, y1) as 14th stage.
// The interpolant is our own (scripts/dense_weights.py), of order 5.
{"dopri8", 8, 7, true, R"(
  0                     |
  1/18                  | 1/18
  1/12                  | 1/48 1/16
  1/8                   | 1/32 0 3/32
  5/16                  | 5/16 0 -75/64 75/64
  3/8                   | 3/80 0 0 3/16 3/20
  59/400                | 29443841/614563906 0 0 77736538/692538347 -28693883/1125000000 23124283/1800000000
  93/200                | 16016141/946692911 0 0 61564180/158732637 22789713/633445777 545815736/2771057229 -180193667/1043307555
  5490023248/9719169821 | 39632708/573591083 0 0 -433636366/683701615 -421739975/2616292301 100302831/723423059 790204164/839813087 800635310/3783071287
  13/20                 | 246121993/1340847787 0 0 -37695042795/15268766246 -309121744/1061227803 -12992083/490766935 6005943493/2108947869 393006217/1396673457 123872331/1001029789
  1201146811/1299019798 | -1028468189/846180014 0 0 8478235783/508512852 1311729495/1432422823 -10304129995/1701304382 -48777925059/3047939560 15336726248/1032824649 -45442868181/3398467696 3065993473/597172653
  1                     | 185892177/718116043 0 0 -3185094517/667107341 -477755414/1098053517 -703635378/230739211 5731566787/1027545527 5232866602/850066563 -4093664535/808688257 3962137247/1805957418 65686358/487910083
  1                     | 403863854/491063109 0 0 -5068492393/434740067 -411421997/543043805 652783627/914296604 11173962825/925320556 -13158990841/6184727034 3936647629/1978049680 -160528059/685178525 248638103/1413531060 0
  1                     | 14005451/335480064 0 0 0 0 -59238493/1068277825 181606767/758867731 561292985/797845732 -1041891430/1371343529 760417239/1151165299 118820643/751138087 -528747749/2220607170 1/4
  b                     | 14005451/335480064 0 0 0 0 -59238493/1068277825 181606767/758867731 561292985/797845732 -1041891430/1371343529 760417239/1151165299 118820643/751138087 -528747749/2220607170 1/4 0
  b^                    | 13451932/455176623 0 0 0 0 -808719846/976000145 1757004468/5645159321 656045339/265891186 -3867574721/1518517206 465885868/322736535 53011238/667516719 2/45 0 0
  dense5                | 1 0 0 0 0 0 0 0 0 0 0 0 0 0
  dense5                | -6.6602924858182477034 0 0 0 0 -7.1692637025672428637 10.605162896139815886 0.26082694001747922919 3.7467994455801464953 -0.18596418897525984931 -1.3887806182296528049 4.7686719080400309298 -6.3239948121377358609 2.3468346179506724052
  dense5                | 19.86853892861680727 0 0 0 0 50.337790141409854939 -46.369733094269503457 1.050100161921216857 -33.704006819705909968 4.2492539333836130931 10.84728761816527453 -32.039284141447285993 44.738937134846509899 -18.978883862920597436
  dense5                | -29.823281582085590755 0 0 0 0 -118.05628807510958609 82.220433585639426465 7.3140687196712618925 84.189121842722492356 -13.725825906382887858 -29.558417905728459516 76.695382332991602922 -109.45766829011699101 50.202475278399312117
  dense5                | 21.932601268442931989 0 0 0 0 113.44354656459114296 -66.316442629822525527 -14.60068166875543315 -86.811978691534606359 19.411124954049693872 33.07922032494044667 -77.776257106318648408 111.49450442424539579 -53.855637439839521549
  dense5                | -6.2758186380143705547 0 0 0 0 -38.611237256935408253 20.099892049513966729 6.6791965165489181917 31.820304609123416546 -9.0880257611528729179 -12.821121936637485545 28.113377467981437745 -40.201778456837178814 20.285211406410134462
)"},
};
// clang-format on

const MethodAlias kAliases[] = {
    {"heun", "heun2", false},
    {"explicit-trapezoid", "heun2", false},
    {"adaptive-heun", "heun2", true},
    {"explicit-midpoint", "midpoint", false},
    {"ralston", "ralston2", false},
    {"ssprk33", "ssprk3", false},
    {"runge-kutta", "rk4", false},
    {"three-eighths", "rk38", false},
    {"gill", "rkgill", false},
    {"bogacki-shampine", "bosh3", true},
    {"bs3", "bosh3", true},
    {"fehlberg12", "fehlberg2", true},
    {"rkf45", "fehlberg45", true},
    {"fehlberg", "fehlberg45", true},
    {"cashkarp", "cash-karp", true},
    {"rkck", "cash-karp", true},
    {"dormand-prince", "dopri5", true},
    {"dopri54", "dopri5", true},
    {"tsitouras5", "tsit5", true},
    {"vern6", "verner6", true},
    {"verner65", "verner6", true},
    {"dopri87", "dopri8", true},
    {"prince-dormand", "dopri8", true},
    {"backward-euler", "implicit-euler", false},
    {"gauss2", "implicit-midpoint", false},
    {"crank-nicolson", "trapezoid", false},
    {"implicit-trapezoid", "trapezoid", false},
    {"sdirk22", "sdirk2", false},
    {"radauIIA3", "radau3", false},
    {"radauiia3", "radau3", false},
    {"radauIIA5", "radau5", false},
    {"radauiia5", "radau5", false},
    {"gl4", "gauss4", false},
    {"gauss-legendre4", "gauss4", false},
    {"gl6", "gauss6", false},
    {"gauss-legendre6", "gauss6", false},
    {"trbdf2", "tr-bdf2", true},
    {"kvaerno32", "kvaerno3", true},
    {"esdirk3", "kvaerno3", true},
    {"esdirk4", "kencarp4", true},
    {"adams-bashforth", "explicit_adams", false},
    {"adams-moulton", "implicit_adams", false},
    {"variable-adams", "adams", true},
    {"vcabm", "adams", true},
    {"asynchronous-leapfrog", "alf", false},
    {"symplectic-euler", "semi-implicit-euler", false},
    {"verlet", "leapfrog", false},
    {"velocity-verlet", "leapfrog", false},
};

// Methods that are no explicit Runge-Kutta method, with the one parameter that some of them have.
struct NamedMethod {
  const char* name;
  const char* parameter;  // null: none
  double usual;
  Method (*make)(double parameter);
  bool adaptive = false;
};

// An order as it stands in a word.
int whole(double order) {
  if (order != std::floor(order) || std::abs(order) > 100) {
    throw ValueError(concat("solver: order must be a whole number, got ", number_text(order), "."));
  }
  return static_cast<int>(order);
}

const NamedMethod kOtherMethods[] = {
    {"explicit_adams", "order", kDefaultAdamsOrder,
     [](double order) { return explicit_adams(whole(order)); }},
    {"implicit_adams", "order", kDefaultAdamsOrder,
     [](double order) { return implicit_adams(whole(order)); }},
    {"adams", nullptr, 0, [](double) { return variable_adams(); }, true},
    {"reversible-heun", nullptr, 0, [](double) { return reversible_heun(); }},
    {"alf", "eta", 1, [](double eta) { return alf(eta); }},
    {"semi-implicit-euler", nullptr, 0, [](double) { return semi_implicit_euler(); }},
    {"leapfrog", nullptr, 0, [](double) { return leapfrog(); }},
};

// All methods that are one tableau.
std::vector<TableauText> texts() {
  std::vector<TableauText> all(std::begin(kMethods), std::end(kMethods));
  all.insert(all.end(), implicit_tableaus().begin(), implicit_tableaus().end());
  return all;
}

struct Family {
  const char* name;
  std::vector<const char*> parameters;
  Tableau (*make)(const std::vector<double>& values);
};

const std::vector<Family>& families() {
  static const std::vector<Family> all = {
      {"rk2", {"u"}, [](const std::vector<double>& p) { return rk2(p[0]); }},
      {"rk3", {"u", "v"}, [](const std::vector<double>& p) { return rk3(p[0], p[1]); }},
      {"rk4", {"u1"}, [](const std::vector<double>& p) { return rk4_u1(p[0]); }},
      {"rk4", {"u2"}, [](const std::vector<double>& p) { return rk4_u2(p[0]); }},
      {"rk4", {"u3"}, [](const std::vector<double>& p) { return rk4_u3(p[0]); }},
      {"rk4", {"u", "v"}, [](const std::vector<double>& p) { return rk4(p[0], p[1]); }},
  };
  return all;
}

std::string with_dashes(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

[[noreturn]] void throw_unknown(const std::string& name) {
  std::string nearest;
  size_t least = 0;
  const auto offer = [&](const std::string& known, const std::string& printed) {
    const size_t d = edit_distance(name, known);
    if (nearest.empty() || d < least) {
      nearest = printed;
      least = d;
    }
  };
  for (const TableauText& m : texts()) offer(m.name, m.name);
  for (const Family& f : families()) offer(f.name, f.name);
  for (const NamedMethod& m : kOtherMethods) offer(m.name, m.name);
  for (const MethodAlias& a : kAliases) offer(a.alias, a.name);
  throw ValueError(concat("solver: there is no method ", name, ". Did you mean ", nearest,
                          "? All of them: slope info methods."));
}

std::string listed(const std::vector<const char*>& names) {
  std::string text;
  for (const char* name : names) text += (text.empty() ? "" : " and ") + std::string(name);
  return text;
}

Tableau family_member(const std::string& name, const MethodParameters& given) {
  std::string offered;
  for (const Family& family : families()) {
    if (family.name != name) continue;
    std::vector<double> values;
    for (const char* parameter : family.parameters) {
      const auto found = std::find_if(given.begin(), given.end(),
                                      [&](const auto& p) { return p.first == parameter; });
      if (found != given.end()) values.push_back(found->second);
    }
    if (values.size() == family.parameters.size() && values.size() == given.size()) {
      return family.make(values);
    }
    offered += (offered.empty() ? "" : ", or ") + listed(family.parameters);
  }
  std::vector<const char*> names;
  for (const auto& [parameter, value] : given) names.push_back(parameter.c_str());
  throw ValueError(concat("solver: ", name, " takes ", offered.empty() ? "no parameters" : offered,
                          "; got ", names.empty() ? "none" : listed(names), "."));
}

// A family's member whose parameters are moved as the published code moves them.
constexpr const char* kClamped = "-clamped";

MethodParameters clamped(const std::string& family, MethodParameters given) {
  FamilyParameters p;
  for (const auto& [name, value] : given) (name == "v" ? p.v : p.u) = value;
  const bool one = given.size() == 1 && family == "rk4";
  p = published_clamp(one ? "rk4_u" : family, p);
  for (auto& [name, value] : given) value = name == "v" ? p.v : p.u;
  return given;
}

const NamedMethod* other_method(const std::string& name) {
  for (const NamedMethod& m : kOtherMethods) {
    if (with_dashes(m.name) == with_dashes(name)) return &m;
  }
  return nullptr;
}

}  // namespace

MethodName canonical_method(const std::string& name) {
  const std::string word = with_dashes(name);
  for (const TableauText& m : texts()) {
    if (word == m.name) return {m.name, m.adaptive};
  }
  for (const Family& f : families()) {
    if (word == f.name) return {f.name, false};
  }
  for (const Family& f : families()) {
    if (word == f.name + std::string(kClamped)) return {word, false};
  }
  if (const NamedMethod* m = other_method(word)) return {m->name, m->adaptive};
  for (const MethodAlias& a : kAliases) {
    if (word == a.alias) return {a.name, a.adaptive};
  }
  throw_unknown(name);
}

Method method(const std::string& name, const MethodParameters& parameters) {
  const NamedMethod* other = other_method(canonical_method(name).name);
  if (!other) return tableau(name, parameters);
  if (parameters.empty()) return other->make(other->usual);
  if (other->parameter && parameters.size() == 1 && parameters[0].first == other->parameter) {
    return other->make(parameters[0].second);
  }
  std::vector<const char*> names;
  for (const auto& [parameter, value] : parameters) names.push_back(parameter.c_str());
  throw ValueError(concat("solver: ", other->name, " takes ",
                          other->parameter ? other->parameter : "no parameters", "; got ",
                          listed(names), "."));
}

Tableau tableau(const std::string& name, const MethodParameters& parameters) {
  const std::string known = canonical_method(name).name;
  if (other_method(known)) {
    throw ValueError(concat("solver: ", known, " is not a Runge-Kutta method: it has no tableau."));
  }
  if (known.ends_with(kClamped)) {
    const std::string family = known.substr(0, known.size() - std::string(kClamped).size());
    return family_member(family, clamped(family, parameters));
  }
  if (parameters.empty()) {
    for (const TableauText& m : texts()) {
      if (known == m.name) return parse_tableau(m);
    }
    if (known == "rk2") return rk2(0.5);
  }
  return family_member(known, parameters);
}

std::vector<Tableau> explicit_methods() {
  std::vector<Tableau> all;
  for (const TableauText& m : kMethods) all.push_back(parse_tableau(m));
  return all;
}

std::vector<Tableau> implicit_methods() {
  std::vector<Tableau> all;
  for (const TableauText& m : implicit_tableaus()) all.push_back(parse_tableau(m));
  return all;
}

std::vector<Tableau> family_examples() {
  return {rk2(0.3), rk3(0.4, 0.8), rk4_u1(0.25), rk4_u2(0.3), rk4_u3(0.3), rk4(0.3, 0.6)};
}

std::vector<Method> all_methods() {
  std::vector<Method> all;
  for (const Tableau& m : explicit_methods()) all.emplace_back(m);
  for (const Tableau& m : family_examples()) all.emplace_back(m);
  for (const Tableau& m : implicit_methods()) all.emplace_back(m);
  for (const NamedMethod& m : kOtherMethods) all.push_back(m.make(m.usual));
  return all;
}

std::span<const MethodAlias> method_aliases() { return kAliases; }

}  // namespace slope::ode
